"""`python -m sandbox`: the stand-in Infobip on a port of its own."""

import argparse

from sandbox.server import run


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8001, help="0 takes a free one")
    parser.add_argument(
        "--push-retry-seconds",
        dest="push_retry_unit_seconds",
        type=float,
        default=60.0,
        help="unit: a failed push waits unit + unit * n * n",
    )
    parser.add_argument("--push-tries", type=int, default=12, help="tries of one push, the first included")
    parser.add_argument("--logs-per-minute", type=int, default=120, help="calls of the logs; 0 is no limit")
    parser.add_argument(
        "--log-mebibytes", type=int, default=512, help="bodies kept in the log of requests, and of pushes"
    )
    options = parser.parse_args()
    run(**vars(options), announce=True)


if __name__ == "__main__":
    main()
