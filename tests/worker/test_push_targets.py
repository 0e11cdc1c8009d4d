"""Where events may be pushed: https to a public host, or what the installation names."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.push_targets import check_url, is_named, is_public

PUBLIC = [
    "https://journeys.example.com/events",
    "https://journeys.example.com:8443/events?key=1&b=%20",
    "https://8.8.8.8/events",
    "https://[2606:4700::1111]/events",
]
REFUSED = {
    "http://journeys.example.com/events": "https://",
    "https://localhost/events": "public host",
    "https://receiver/events": "public host",
    "https://a.internal/": "public host",
    "https://a.local./": "public host",
    "https://10.0.0.1/events": "private address",
    "https://127.0.0.1:8443/": "private address",
    "https://169.254.169.254/latest": "private address",
    "https://[::1]/": "private address",
    "https://[::ffff:10.0.0.1]/": "private address",
    "https://[64:ff9b::a00:1]/": "private address",
    "https://2130706433/": "public host",
    "https://0x7f.1/": "public host",
    "https://user:word@journeys.example.com/": "no user",
    "https://journeys.example.com/#part": "no fragment",
    "https://journeys.example.com:99999/": "not a URL",
    "https://journeys.example.com\\@10.0.0.1/": "such as",
    "https:///events": "such as",
    "ftp://journeys.example.com/": "such as",
    "journeys.example.com/events": "such as",
    "https://journeys.exämple.com/": "plain ASCII",
    "https://journeys.example.com/a b": "plain ASCII",
    "https://journeys.example.com/" + "a" * 2_000: "characters long",
}


@pytest.mark.parametrize("url", PUBLIC)
def test_https_to_a_public_host_passes_as_it_is(url: str) -> None:
    assert check_url(url, []) == url


@pytest.mark.parametrize("url", REFUSED)
def test_anything_else_is_refused_with_what_to_change(url: str) -> None:
    with pytest.raises(ValueError, match=REFUSED[url]):
        check_url(url, [])


@pytest.mark.parametrize(
    ("url", "entry"),
    [
        ("http://receiver/events", "receiver"),
        ("https://receiver/events", "Receiver"),
        ("http://127.0.0.1:9000/", "127.0.0.1:9000"),
        ("http://[::1]:9000/", "[::1]:9000"),
        ("http://[::1]/", "::1"),
    ],
)
def test_a_host_that_the_installation_names_may_be_private_and_http(url: str, entry: str) -> None:
    assert check_url(url, ["other.example.com", entry]) == url


@pytest.mark.parametrize("entry", ["receiver", "receiver:9001", "other:9000", "127.0.0.1:9000"])
def test_a_name_counts_for_its_host_and_port_alone(entry: str) -> None:
    assert not is_named("receiver", 9000, [entry])


ADDRESSES = {
    "1.1.1.1": True,
    "2606:4700::1111": True,
    "10.1.2.3": False,
    "172.16.0.1": False,
    "192.168.1.1": False,
    "100.64.0.1": False,
    "127.0.0.53": False,
    "0.0.0.0": False,  # noqa: S104 - an address to refuse
    "169.254.169.254": False,
    "224.0.0.1": False,
    "255.255.255.255": False,
    "::": False,
    "::1": False,
    "fe80::1%eth0": False,
    "fd00::1": False,
    "ff02::1": False,
    "::ffff:192.168.0.1": False,
    "64:ff9b::c0a8:1": False,
    "2002:c0a8:1::": False,
    "2001:0:4136:e378:8000:63bf:3fff:fdd2": False,
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_public_or_not(address: str) -> None:
    assert is_public(address) == ADDRESSES[address]


@given(
    st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="fc00::/7") | st.ip_addresses(network="127.0.0.0/8")
)
def test_no_inner_address_is_public(address: object) -> None:
    assert not is_public(str(address))


@given(st.text())
def test_whatever_is_written_is_a_url_or_refused_as_a_value(text: str) -> None:
    with suppress(ValueError):
        assert check_url(text, ["receiver"]) == text
