"""Settings: every environment variable the product reads, read once at start.

Each field is `DELIVERY_<NAME>`. A bad value stops the process with the variable's name and what it should hold.
"""

import sys
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from worker.durations import BadDuration, parse_duration

INFOBIP_HOSTS = ("api.infobip.com", "*.api.infobip.com")


def _list_of_text(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _list_of_durations(value: object) -> object:
    parts = _list_of_text(value)
    if not isinstance(parts, list):
        return parts
    try:
        return [part if isinstance(part, timedelta) else parse_duration(part) for part in parts]
    except BadDuration as error:
        raise ValueError(str(error)) from error


def _duration(value: object) -> object:
    try:
        return parse_duration(value) if isinstance(value, str) else value
    except BadDuration as error:
        raise ValueError(str(error)) from error


def _redis_url(value: object) -> object:
    """One server's address. Its certificate is checked unless the URL says otherwise: Celery would not, of its own."""
    if not isinstance(value, str) or not value:
        return value
    try:
        parts = urlsplit(value)
    except ValueError as error:
        raise ValueError("is no address") from error
    if parts.scheme not in ("redis", "rediss"):
        raise ValueError("should begin with redis:// or rediss:// and name one server (no Sentinel, no Cluster)")
    if parts.scheme == "rediss" and "ssl_cert_reqs" not in parse_qs(parts.query):
        return parts._replace(query=f"{parts.query}&ssl_cert_reqs=required".lstrip("&")).geturl()
    return value


TextList = Annotated[list[str], NoDecode, BeforeValidator(_list_of_text)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
RedisUrl = Annotated[SecretStr | None, BeforeValidator(_redis_url)]
Durations = Annotated[list[timedelta], NoDecode, BeforeValidator(_list_of_durations), Field(min_length=1)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="DELIVERY_", extra="ignore")

    database_url: SecretStr | None = Field(None, description="PostgreSQL 16 or newer; without it `up` starts its own.")
    redis_url: RedisUrl = Field(None, description="Redis for Celery and rates; without it `up` starts its own.")
    data_dir: Path = Field(Path(".delivery"), description="Embedded servers, generated keys, logs.")
    secret_keys: SecretStr | None = Field(
        None, description="Comma-separated Fernet keys: the first encrypts, all decrypt. `up` makes one."
    )
    public_url: str = Field("", description="What Infobip calls back; default http://127.0.0.1:API_PORT.")
    bootstrap_token: SecretStr | None = Field(None, description="An admin token, for set-up and tests; `up` makes one.")
    allowed_provider_hosts: TextList = Field(
        list(INFOBIP_HOSTS),
        description="Comma-separated host[:port] that a base URL may name; http is allowed for those given here.",
    )
    retry_schedule: Durations = Field(
        [timedelta(minutes=m) for m in (1, 5, 15, 60, 120, 240)],
        description="Waits between attempts, ISO 8601, comma-separated; the last repeats.",
    )
    submission_size: int = Field(500, ge=1, le=2000, description="Most messages in one request to Infobip.")
    lease_seconds: float = Field(60, ge=2, description="How long a submission may stay open before it is in doubt.")
    request_timeout_seconds: float = Field(20, gt=0, description="Overall deadline of one request to Infobip.")
    doubt_looks: Durations = Field(
        [timedelta(seconds=5), timedelta(seconds=20)],
        description="When to ask Infobip's logs about an unknown fate, counted from the doubt.",
    )
    missing_report_after: Durations = Field(
        [timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6), timedelta(hours=24)],
        description="When to ask Infobip's logs for a report that has not come, counted from acceptance.",
    )
    report_grace: Duration = Field(
        timedelta(hours=1), description="Wait for a report after expires_at before `unconfirmed`."
    )
    double_opt_in_window: Duration = Field(
        timedelta(days=7), description="How long a double opt-in waits for its confirmation."
    )
    dlt_variable_length: int = Field(
        40, ge=1, le=1000, description="Most characters of one variable in a DLT template (sources say 20, 30 or 40)."
    )
    event_retry_schedule: Durations = Field(
        [timedelta(seconds=s) for s in (5, 30, 120, 600, 1800, 3600, 7200, 14400)],
        description="Waits between pushes of events to an endpoint that fails; the last repeats.",
    )
    event_disable_after: Duration = Field(
        timedelta(days=5), description="An event endpoint that has failed for so long is disabled."
    )
    allowed_event_hosts: TextList = Field(
        [],
        description="Comma-separated host[:port] of event endpoints that may be private addresses or http.",
    )
    allowed_media_hosts: TextList = Field(
        [],
        description="Comma-separated host[:port] of links in an MMS that may be private addresses or http.",
    )
    api_port: int = Field(8000, ge=1, le=65535, description="Port of the API.")
    metrics_port: int = Field(9100, ge=0, le=65535, description="Port of the workers' metrics; 0 switches them off.")
    sandbox_port: int = Field(8001, ge=1, le=65535, description="Port of the sandbox.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="json, console, or auto: console on a terminal, else json."
    )

    @model_validator(mode="after")
    def _timeout_fits_lease(self) -> "Settings":
        if self.request_timeout_seconds >= self.lease_seconds / 2:
            raise ValueError(
                "DELIVERY_REQUEST_TIMEOUT_SECONDS must be less than half of DELIVERY_LEASE_SECONDS "
                f"(now {self.request_timeout_seconds:g} and {self.lease_seconds:g})"
            )
        return self

    @property
    def callback_base(self) -> str:
        return (self.public_url or f"http://127.0.0.1:{self.api_port}").rstrip("/")

    def webhook_url(self, credential_id: UUID, token: str, kind: Literal["reports", "inbound"]) -> str:
        """Where Infobip pushes for this credential. The token is a secret: the URL goes into no log."""
        return f"{self.callback_base}/webhooks/infobip/{credential_id}/{token}/{kind}"


def read_settings() -> Settings:
    """Settings from the environment. Exits with one line for each bad variable, naming it."""
    try:
        return Settings()
    except ValidationError as error:
        for fault in error.errors():
            name = "DELIVERY_" + str(fault["loc"][0]).upper() + ": " if fault["loc"] else ""
            print(f"{name}{fault['msg'].removeprefix('Value error, ')}", file=sys.stderr)  # noqa: T201 - before logging
        raise SystemExit(2) from None


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process."""
    return read_settings()
