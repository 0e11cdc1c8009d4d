"""Logs: one line per event, an event name and IDs. Never a text, a whole number, a secret or callback data.

A line also has the IDs of what its process is at: the request, or the task (docs/logs.md).
"""

import contextlib
import json
import logging
import os
import re
import sys
import time
import traceback
from typing import Any

import orjson
import structlog

from worker.settings import settings
from worker.sqlstates import sqlstate
from worker.traces import is_on, is_wanted, note_trace

SELDOM_SECONDS = 10.0
_log = structlog.get_logger()
_ID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def configure_logging() -> None:
    """JSON in production, pleasant lines on a terminal. Other libraries' records come out in the same form."""
    level = getattr(logging, settings().log_level.upper())
    as_console = settings().log_format == "console" or (settings().log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        *((note_trace,) if is_on() else ()),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    as_text: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)  # no local variables
        if as_console
        else structlog.processors.JSONRenderer()
    )
    exceptions = structlog.dev.set_exc_info if as_console else structlog.processors.format_exc_info
    for_handlers = structlog.stdlib.ProcessorFormatter.wrap_for_formatter
    # Past Python's own logging, since the API writes a line a request: a fifth of its time became a twentieth.
    straight = (exceptions, structlog.processors.JSONRenderer(_as_json))
    structlog.configure(
        processors=[*shared, *((for_handlers,) if as_console else straight)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory() if as_console else _StandardError,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                exceptions,
                as_text,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # httpx logs whole URLs at info, and those of webhooks hold tokens.
    # Celery tells of every tick at info.
    for chatty in (
        "httpx",
        "httpcore",
        "alembic",
        "kombu",
        "celery.worker.strategy",
        "celery.app.trace",
        "celery.beat",
    ):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Its words hold the collector's whole URL, and where that is away there are several to each batch of spans.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    if is_wanted() and not is_on():
        _log.warning("traces_not_installed")


def is_id(given: object) -> bool:
    """A UUID, or 32 hex digits. Of what others send only that is logged: anything else might be a number or a text."""
    return isinstance(given, str) and _ID.fullmatch(given) is not None


class _StandardError:
    """Takes lines as bytes. One write each, without a lock: none can be left locked in a forked child.

    A line that cannot be written (a full disk, a pipe that nobody empties) is lost, as in Python's own logging: what
    was at work when it spoke goes on.
    """

    def __init__(self, *_: Any) -> None:
        return  # structlog may give a name

    def msg(self, line: bytes) -> None:
        with contextlib.suppress(OSError):
            os.write(2, line + b"\n")

    debug = info = warning = error = critical = exception = msg


def _as_json(event: Any, **options: Any) -> bytes:
    try:
        return orjson.dumps(event, **options)
    except orjson.JSONEncodeError:  # half a character, or a number beyond 64 bits
        return json.dumps(event, **options).encode()


def log_bug(log: Any, event: str, error: BaseException, **ids: object) -> None:
    """A line, at error, about what should not happen: the error's class, its SQLSTATE, and where in our code it rose.

    Never its message: an error of the database quotes the row, which holds numbers and texts.
    """
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in ours[-8:]]
    log.error(event, error=type(error).__name__, sqlstate=sqlstate(error), where=where, **ids)


class Seldom:
    """Is due once in SELDOM_SECONDS: for what each tick would say again while a server is away."""

    def __init__(self) -> None:
        self._due_at = 0.0

    def is_due(self) -> bool:
        """True for the one caller who is to speak now."""
        now = time.monotonic()
        if now < self._due_at:
            return False
        self._due_at = now + SELDOM_SECONDS
        return True
