"""`python -m sandbox`: the stand-in Infobip on a port of its own."""

import argparse

from sandbox.account import Settings
from sandbox.server import run


def main() -> None:
    usual = Settings()
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8001, help="0 takes a free one")
    parser.add_argument(
        "--push-retry-seconds",
        type=float,
        default=usual.push_retry_unit_seconds,
        help="unit: a failed push waits unit + unit * n * n",
    )
    parser.add_argument(
        "--push-tries", type=int, default=usual.push_tries, help="tries of one push, the first included"
    )
    parser.add_argument(
        "--logs-per-minute", type=int, default=usual.logs_per_minute, help="calls of the logs; 0 is no limit"
    )
    parser.add_argument(
        "--log-mebibytes",
        type=int,
        default=usual.log_mebibytes,
        help="bodies kept in the log of requests, and of pushes",
    )
    given = parser.parse_args()
    settings = Settings(given.push_retry_seconds, given.push_tries, given.logs_per_minute, given.log_mebibytes)
    run(given.host, given.port, settings, announce=True)


if __name__ == "__main__":
    main()
