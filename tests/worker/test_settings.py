"""Settings: a bad value stops the process and names the variable."""

from datetime import timedelta

import pytest

from worker.settings import read_settings


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("DELIVERY_"):
            monkeypatch.delenv(name)


def test_lists_and_durations_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELIVERY_RETRY_SCHEDULE", "PT1S, PT2M")
    monkeypatch.setenv("DELIVERY_ALLOWED_PROVIDER_HOSTS", "127.0.0.1:8001,localhost:8001")
    settings = read_settings()
    assert settings.retry_schedule == [timedelta(seconds=1), timedelta(minutes=2)]
    assert settings.allowed_provider_hosts == ["127.0.0.1:8001", "localhost:8001"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RETRY_SCHEDULE", "1m,5m"),
        ("RETRY_SCHEDULE", ""),
        ("SUBMISSION_SIZE", "0"),
        ("REPORT_GRACE", "soon"),
        ("LOG_FORMAT", "xml"),
        ("API_PORT", "70000"),
        ("REDIS_URL", "sentinel://10.0.0.1:26379/0"),
        ("REDIS_URL", "redis+cluster://10.0.0.1:6379/0"),
        ("REDIS_URL", "redis://[10.0.0.1:6379/0"),
        ("REDIS_URL", "10.0.0.1:6379"),
    ],
)
def test_bad_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.setenv(f"DELIVERY_{name}", value)
    with pytest.raises(SystemExit) as stopped:
        read_settings()
    assert stopped.value.code == 2
    assert f"DELIVERY_{name}:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("redis://:key@h:6379/0", "redis://:key@h:6379/0"),
        ("rediss://:key@h:6379/0", "rediss://:key@h:6379/0?ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_ca_certs=/ca.crt", "rediss://h/0?ssl_ca_certs=/ca.crt&ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_cert_reqs=none", "rediss://h/0?ssl_cert_reqs=none"),
    ],
)
def test_certificate_of_redis_is_checked_unless_the_url_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: str, used: str
) -> None:
    monkeypatch.setenv("DELIVERY_REDIS_URL", given)
    url = read_settings().redis_url
    assert url is not None
    assert url.get_secret_value() == used


def test_refused_redis_url_shows_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DELIVERY_REDIS_URL", "sentinel://:planted-secret@10.0.0.1:26379/0")
    with pytest.raises(SystemExit):
        read_settings()
    assert "planted-secret" not in capsys.readouterr().err


def test_request_deadline_must_fit_half_the_lease(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DELIVERY_LEASE_SECONDS", "30")
    monkeypatch.setenv("DELIVERY_REQUEST_TIMEOUT_SECONDS", "20")
    with pytest.raises(SystemExit):
        read_settings()
    assert "less than half of DELIVERY_LEASE_SECONDS" in capsys.readouterr().err


def test_secrets_do_not_show_in_a_printed_settings_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELIVERY_SECRET_KEYS", "planted-secret")
    monkeypatch.setenv("DELIVERY_DATABASE_URL", "postgresql://u:planted-secret@h/d")
    assert "planted-secret" not in repr(read_settings())
