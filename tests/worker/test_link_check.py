"""The links of an MMS: asked over real HTTP, of servers that answer well, badly, elsewhere or not at all."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from cli.ports import free_port
from tests.http_servers import Headers, serving
from tests.processes import wait_for
from worker import link_check
from worker.link_check import MOST_LINKS, check_links, refuse_bad_links
from worker.link_memory import Found, LinkMemory
from worker.media_rules import MOST_BYTES
from worker.mms import Mms, Part
from worker.refusals import Refusal
from worker.settings import Settings

JPEG = {"Content-Type": "image/jpeg", "Content-Length": "1000"}
WELL = Found(None, "image/jpeg")


@dataclass
class FileServer:
    """Answers each method with a status and headers, and no body. `asked`: the methods, in order."""

    answers: dict[str, tuple[int, Headers]]
    port: int = 0
    waits_for: threading.Event | None = None
    asked: list[str] = field(default_factory=list)
    headers: list[Headers] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/picture.jpg"


@contextmanager
def files_served(
    head: tuple[int, Headers] = (200, JPEG), get: tuple[int, Headers] = (200, JPEG)
) -> Iterator[FileServer]:
    files = FileServer({"HEAD": head, "GET": get})

    def answer(request: BaseHTTPRequestHandler) -> tuple[int, Headers]:
        files.asked.append(request.command)
        files.headers.append(dict(request.headers))
        if files.waits_for is not None:
            files.waits_for.wait(60)
        return files.answers[request.command]

    with serving(answer) as files.port:
        try:
            yield files
        finally:
            if files.waits_for is not None:
                files.waits_for.set()


def fault_of(url: str, *allowed: str) -> str | None:
    return check_links([url], allowed, LinkMemory())[url].fault


def test_a_file_that_is_there_is_asked_for_by_its_head_alone() -> None:
    with files_served() as files:
        assert fault_of(files.url, files.host) is None
    assert files.asked == ["HEAD"]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("picture.jpg", None),
        ("picture.png", None),
        ("picture.gif", None),
        ("clip.mp4", None),
        ("missing.jpg", "answers HTTP 404: give a link to the file that anybody can fetch"),
        ("redirect.jpg", "leads on to http://127.0.0.1/private.jpg (HTTP 302): link to the file itself"),
        ("large.jpg", f"leads to 5,242,880 bytes, and at most {MOST_BYTES:,} can be sent: all carriers take 300 KB"),
    ],
)
def test_the_media_of_the_sandbox(sandbox: str, name: str, fault: str | None) -> None:
    found = fault_of(f"{sandbox}/sandbox/media/{name}", sandbox.removeprefix("http://"))
    assert found is None if fault is None else str(found).startswith(fault), found


@pytest.mark.parametrize("status", [403, 405, 501])
@pytest.mark.parametrize(
    ("get", "fault"),
    [
        ((200, JPEG), None),
        ((206, {"Content-Type": "image/jpeg", "Content-Length": "1", "Content-Range": "bytes 0-0/1000"}), None),
        ((206, {"Content-Type": "image/jpeg", "Content-Length": "1", "Content-Range": "bytes 0-0/*"}), None),
        ((206, {"Content-Type": "image/jpeg", "Content-Range": f"bytes 0-0/{MOST_BYTES + 1}"}), "1,048,577 bytes"),
        ((403, {}), "HTTP 403"),
        ((416, {}), "HTTP 416"),
    ],
    ids=["whole", "a part", "a part of who knows", "a part of too much", "refused", "no such part"],
)
def test_where_a_head_is_refused_a_byte_is_asked_for(status: int, get: tuple[int, Headers], fault: str | None) -> None:
    with files_served((status, {}), get) as files:
        found = fault_of(files.url, files.host)
    assert files.asked == ["HEAD", "GET"]
    assert files.headers[1]["Range"] == "bytes=0-0"
    assert found is None if fault is None else fault in str(found)


@pytest.mark.parametrize("status", [300, 304, 400, 401, 404, 410, 429, 500, 503])
def test_anything_but_2xx_is_a_fault(status: int) -> None:
    with files_served((status, {}), (200, JPEG)) as files:
        assert f"HTTP {status}" in str(fault_of(files.url, files.host))
    assert files.asked == ["HEAD"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_not_followed(status: int) -> None:
    with files_served() as elsewhere, files_served((status, {"Location": elsewhere.url})) as files:
        fault = str(fault_of(files.url, files.host, elsewhere.host))
        assert elsewhere.asked == []
    assert fault.startswith(f"leads on to {elsewhere.url} (HTTP {status})")


@pytest.mark.parametrize("target", ["", "http://a/\u00e9"], ids=["nowhere", "unreadable"])
def test_a_redirect_that_cannot_be_shown_leads_elsewhere(target: str) -> None:
    with files_served((302, {"Location": target})) as files:
        assert str(fault_of(files.url, files.host)).startswith("leads on elsewhere (HTTP 302)")


@pytest.mark.parametrize(
    ("headers", "fault"),
    [
        (
            {"Content-Type": "text/html", "Content-Length": "9"},
            "text/html is none that an MMS may carry: these are image",
        ),
        ({"Content-Length": "9"}, "no Content-Type is given"),
        ({"Content-Type": "image/jpeg", "Content-Length": "0"}, "leads to an empty file"),
        ({"Content-Type": "image/jpeg", "Content-Length": str(MOST_BYTES + 1)}, "leads to 1,048,577 bytes"),
        ({"Content-Type": "image/jpeg", "Content-Length": str(MOST_BYTES)}, None),
        ({"Content-Type": "IMAGE/JPEG; q=1"}, None),
    ],
    ids=["a web page", "no type", "empty", "too large", "as large as may be", "no length"],
)
def test_type_and_length_must_fit(headers: Headers, fault: str | None) -> None:
    with files_served((200, headers)) as files:
        found = fault_of(files.url, files.host)
    assert found is None if fault is None else fault in str(found)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://media.example.com/a.jpg", "must begin with https://; name the host in DELIVERY_ALLOWED_MEDIA_HOSTS"),
        ("https://10.0.0.1/a.jpg", "must not be a private address; name the host in DELIVERY_ALLOWED_MEDIA_HOSTS"),
        ("https://[::1]/a.jpg", "must not be a private address"),
        ("https://localhost/a.jpg", "must name a public host"),
        ("ftp://media.example.com/a.jpg", "must be a URL such as https://media.example.com/picture.jpg"),
        ("https://me:secret@media.example.com/a.jpg", "must hold no user and no password: carriers fetch it without"),
        ("https://media.example.com/a b.jpg", "must be a URL in plain ASCII without spaces"),
        ("https://media.invalid/a.jpg", "names a host that is not known"),
        ("picture.jpg", "must be a URL such as"),
    ],
)
def test_a_link_must_lead_to_a_public_host(url: str, fault: str) -> None:
    assert str(fault_of(url)).startswith(fault)


def test_a_host_that_is_not_named_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where only one of the addresses of its name is an inner one."""

    def found(host: str, port: int, **_: Any) -> list[Any]:
        return [(0, 0, 0, "", (address, port)) for address in ("1.1.1.1", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", found)  # no public name leads inwards for us
    with files_served() as files:
        fault = fault_of(f"https://media.example.com:{files.port}/a.jpg")
        assert str(fault).startswith("leads to an address that is not public")
        assert str(fault_of(files.url)).startswith("must begin with https://")
    assert files.asked == []


def test_who_does_not_answer_in_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_check, "LINK_SECONDS", 0.3)
    with files_served() as files:
        files.waits_for = threading.Event()
        assert fault_of(files.url, files.host) == "is not answered within 0.3 s"


def test_all_links_of_a_message_are_asked_side_by_side() -> None:
    """Each answer waits until all have been asked for."""
    with files_served() as files:
        all_here = threading.Barrier(MOST_LINKS)

        class AllHere(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                all_here.wait(timeout)
                return True

        files.waits_for = AllHere()
        urls = [f"{files.url}?{n}" for n in range(MOST_LINKS)]
        assert check_links(urls, [files.host], LinkMemory()) == dict.fromkeys(urls, WELL)
    assert len(files.asked) == MOST_LINKS


def test_no_server_and_no_http_are_told() -> None:
    host = f"127.0.0.1:{free_port()}"
    assert fault_of(f"http://{host}/", host) == "has no server that answers: Connection refused"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"220 mail.example.com ESMTP\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        host = f"127.0.0.1:{server.getsockname()[1]}"
        assert fault_of(f"http://{host}/", host) == "is not answered in HTTP: RemoteProtocolError"
        thread.join()


# What is remembered


def test_a_good_link_is_asked_once_and_a_bad_one_each_time() -> None:
    memory = LinkMemory()
    with files_served() as files:
        for _ in range(3):
            assert check_links([files.url, files.url], [files.host], memory) == {files.url: WELL}
        assert files.asked == ["HEAD"]
        files.answers["HEAD"] = (404, {})
        other = f"{files.url}?other"
        for _ in range(2):
            found = check_links([files.url, other], [files.host], memory)
            assert (found[files.url], bool(found[other].fault)) == (WELL, True)
        assert files.asked == ["HEAD"] * 3


def test_what_is_remembered_is_bounded_in_time_and_number() -> None:
    asked: list[str] = []

    def ask(urls: Any) -> dict[str, Found]:
        asked.extend(urls)
        return dict.fromkeys(urls, WELL)

    forgetful = LinkMemory(kept_seconds=0)
    for _ in range(2):
        forgetful.recall(["a"], ask, 1)
    assert asked == ["a", "a"]
    asked.clear()
    small = LinkMemory(most_kept=2)
    for url in ("a", "b", "c", "b", "a"):
        small.recall([url], ask, 1)
    assert asked == ["a", "b", "c", "a"]


def in_threads(*works: Callable[[], Any]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    return threads


class CountedMemory(LinkMemory):
    """Counts who waits for another thread's answer."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[None] = []

    def _wait_for(self, asked: Any, ends: float) -> Found:
        self.waiting.append(None)
        return super()._wait_for(asked, ends)


@pytest.mark.parametrize("status", [200, 404])
def test_many_who_ask_at_the_same_time_get_the_answer_to_one_request(status: int) -> None:
    memory = CountedMemory()
    found: list[dict[str, Found]] = []
    with files_served((status, JPEG)) as files:
        files.waits_for = threading.Event()
        threads = in_threads(*[lambda: found.append(check_links([files.url], [files.host], memory))] * 5)
        wait_for(lambda: len(memory.waiting) == 4, 5)
        files.waits_for.set()
        for thread in threads:
            thread.join()
    assert files.asked == ["HEAD"]
    assert found == [found[0]] * 5
    assert bool(found[0][files.url].fault) == (status == 404)


def test_who_waits_for_another_that_fails_is_not_left_waiting() -> None:
    memory, asking, fails = LinkMemory(), threading.Event(), threading.Event()
    raised: list[BaseException] = []

    def ask(urls: Any) -> dict[str, Found]:
        asking.set()
        fails.wait(60)
        raise OSError("no file descriptor is left")

    def recall() -> None:
        try:
            memory.recall(["a"], ask, 60)
        except OSError as error:
            raised.append(error)

    first = in_threads(recall)
    asking.wait(60)
    second = in_threads(recall)
    fails.set()
    for thread in first + second:
        thread.join()
    assert len(raised) == 2
    assert memory.recall(["a"], lambda urls: dict.fromkeys(urls, WELL), 1) == {"a": WELL}


def test_who_has_waited_long_enough_for_another_is_told() -> None:
    memory, asking, goes_on = LinkMemory(), threading.Event(), threading.Event()

    def ask(urls: Any) -> dict[str, Found]:
        asking.set()
        goes_on.wait(60)
        return dict.fromkeys(urls, WELL)

    first = in_threads(lambda: memory.recall(["a"], ask, 60))
    asking.wait(60)
    assert memory.recall(["a"], ask, 0) == {"a": Found("is not answered in time")}
    goes_on.set()
    first[0].join()


# As the API refuses them


def test_each_bad_link_is_a_fault_of_its_part(fresh_settings: Settings) -> None:
    with files_served() as files:
        fresh_settings.allowed_media_hosts.append(files.host)
        text, good = Part("text", "Look"), Part("url", files.url)
        refuse_bad_links(Mms(parts=(text, good)))
        bad = Part("url", "https://10.0.0.1/a.jpg")
        with pytest.raises(Refusal) as refused:
            refuse_bad_links(Mms(parts=(text, bad, good, bad)))
    assert [fault.field for fault in refused.value.faults] == ["mms.parts.1.url", "mms.parts.3.url"]
    assert refused.value.detail.startswith("mms.parts.1.url: must not be a private address")
    assert files.asked == ["HEAD"]


@pytest.mark.parametrize("content_type", [None, "image/jpeg"])
def test_a_link_of_the_type_that_is_said_or_of_none_is_good(fresh_settings: Settings, content_type: str | None) -> None:
    with files_served((200, {"Content-Type": "image/JPG; q=1"})) as files:
        fresh_settings.allowed_media_hosts.append(files.host)
        refuse_bad_links(Mms(parts=(Part("url", files.url, content_type=content_type),)))


def test_a_link_of_another_type_than_is_said_is_a_fault_of_that_also_where_it_is_remembered(
    fresh_settings: Settings,
) -> None:
    with files_served() as files:
        fresh_settings.allowed_media_hosts.append(files.host)
        for _ in range(2):
            with pytest.raises(Refusal) as refused:
                refuse_bad_links(Mms(parts=(Part("text", "Look"), Part("url", files.url, content_type="image/png"))))
            (fault,) = refused.value.faults
            assert fault.field == "mms.parts.1.content_type"
            assert fault.message == "is image/png, and the link answers image/jpeg: correct it, or leave it out"
    assert files.asked == ["HEAD"]


def test_an_mms_without_links_asks_nobody(fresh_settings: Settings) -> None:
    """Nor is one asked that holds placeholders: check_mms refuses it."""
    parts = (Part("text", "https://10.0.0.1/"), Part("media", "1"), Part("url", "https://10.0.0.1/{{n}}"))
    refuse_bad_links(Mms(parts=parts))


def test_more_links_than_fit_are_refused_unasked(fresh_settings: Settings) -> None:
    with pytest.raises(Refusal, match="21 links: at most 20 fit"):
        refuse_bad_links(Mms(parts=tuple(Part("url", f"https://10.0.0.1/{n}") for n in range(MOST_LINKS + 1))))
