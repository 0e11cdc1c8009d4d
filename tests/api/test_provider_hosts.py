import pytest

from api.provider_hosts import check_base_url

ALLOWED = ["api.infobip.com", "*.api.infobip.com", "127.0.0.1:8001", "sandbox", "*.corp.example:8443"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://abc.api.infobip.com", "https://abc.api.infobip.com"),
        ("https://api.infobip.com/", "https://api.infobip.com"),
        ("abc.api.infobip.com", "https://abc.api.infobip.com"),
        ("HTTPS://ABC.API.Infobip.com:443", "https://abc.api.infobip.com"),
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("https://127.0.0.1:8001", "https://127.0.0.1:8001"),
        ("http://sandbox", "http://sandbox"),
        ("https://sandbox", "https://sandbox"),
        ("https://a.corp.example:8443", "https://a.corp.example:8443"),
    ],
)
def test_allowed_address_is_kept_in_one_form(given: str, kept: str) -> None:
    assert check_base_url(given, ALLOWED) == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "https://",
        "http://abc.api.infobip.com",
        "https://abc.api.infobip.com:8443",
        "https://infobip.com",
        "https://.api.infobip.com",
        "https://abc.api.infobip.com.evil.example",
        "https://evilapi.infobip.com",
        "https://abc.api.infobip.com@evil.example",
        "https://user:pass@abc.api.infobip.com",
        "https://abc.api.infobip.com/path",
        "https://abc.api.infobip.com?x=1",
        "https://abc.api.infobip.com#x",
        "https://abc.api.infobip.com:port",
        "https://abc.api.infobip.com:99999",
        "https://[::1",
        "https://abc\u3002api.infobip.com",
        "https://abc .api.infobip.com",
        "ftp://abc.api.infobip.com",
        "file:///etc/passwd",
        "http://127.0.0.1:8002",
        "http://127.0.0.1",
        "http://sandbox:8001",
        "http://169.254.169.254",
        "http://a.corp.example",
    ],
)
def test_other_address_is_refused_with_a_sentence(given: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|is) "):
        check_base_url(given, ALLOWED)
