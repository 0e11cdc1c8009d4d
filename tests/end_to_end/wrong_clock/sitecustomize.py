"""Python imports this at its start, where the folder is on PYTHONPATH: what libfaketime needs to leave sleeping alone.

Version 0.9.10, told to leave the monotonic clock as it is, spoils the call that `time.sleep` makes since Python 3.11:
every sleep ends at once with "Invalid argument" (libfaketime issue 426).
"""

import select
import time


def sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = sleep
