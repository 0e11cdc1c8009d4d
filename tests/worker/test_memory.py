import subprocess
import sys


def test_what_stands_at_the_start_is_never_walked_again() -> None:
    code = (
        "import gc, worker.memory as m; m.settle_memory(); print(gc.get_freeze_count() > 1000, gc.get_threshold()[0])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "10000"]
