"""Logs: one line per event, an event name and IDs. Never a text, a whole number, a secret or callback data."""

import logging
import sys
import time

import structlog

from worker.settings import settings


def configure_logging() -> None:
    """JSON in production, pleasant lines on a terminal. Other libraries' records pass through the same renderer."""
    level = getattr(logging, settings().log_level.upper())
    as_console = settings().log_format == "console" or (settings().log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)  # no local variables
        if as_console
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info if not as_console else structlog.dev.set_exc_info,
                renderer,
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


def masked(recipient: str) -> str:
    """A number as logs may show it: the last four digits."""
    return "…" + recipient[-4:]


class Seldom:
    """Is due once in so many seconds: for what each tick would say again while a server is away."""

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._due_at = 0.0

    def is_due(self) -> bool:
        """True for the one caller who is to speak now."""
        now = time.monotonic()
        if now < self._due_at:
            return False
        self._due_at = now + self._seconds
        return True
