"""Whether the links of an MMS lead to files that a carrier can fetch: public, direct, of a type and a size that fit.

Infobip fetches a linked file only when the message is on its way, and a link that leads nowhere then fails message by
message. So each is asked once before anything is accepted. The URL is written by whoever may send, and asked from
within our network: only public hosts are, and what DELIVERY_ALLOWED_MEDIA_HOSTS names (push_targets.py).
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

import httpx

from worker.link_memory import Found, LinkMemory
from worker.media_rules import MOST_BYTES, WHAT_CARRIERS_TAKE, BadMedia, media_type_of
from worker.mms import Mms, Part
from worker.pinned_http import Forbidden, addresses_of, cause_of, open_client, send
from worker.push_targets import Purpose, check_url
from worker.refusals import Fault, Refusal
from worker.settings import settings

MOST_LINKS = 20
LINK_SECONDS = 5.0  # for one link, all of it; they are asked side by side
ALL_SECONDS = 10.0  # for all of a message's, with those that another request is asking just now
_MOST_SHOWN = 200  # characters of where a redirect leads
_MOST_NAMED = 3  # faults in the sentence; the list has all of them

_LINKS = Purpose(
    "DELIVERY_ALLOWED_MEDIA_HOSTS", "https://media.example.com/picture.jpg", "carriers fetch it without one"
)
_HEAD_IS_REFUSED: Final = (403, 405, 501)  # by servers that answer a GET; signed links are often signed for GET alone
_HEADERS: Final = {"Accept-Encoding": "identity"}  # of the length as it is stored

_memory = LinkMemory()


def refuse_bad_links(mms: Mms) -> None:
    """Ask the links of an MMS. May take ALL_SECONDS: call it outside of any transaction. A link that holds placeholders
    is not asked, since `check_mms` refuses it. Errors: Refusal, with a fault for each link that cannot be fetched, and
    each that leads to a file of another type than its `content_type` says."""
    links = {number: part for number, part in enumerate(mms.parts) if part.kind == "url" and "{{" not in part.value}
    if len(links) > MOST_LINKS:
        raise Refusal.of_field("mms.parts", f"has {len(links):,} links: at most {MOST_LINKS} fit")
    found = check_links([part.value for part in links.values()], settings().allowed_media_hosts)
    faults = [
        fault
        for number, part in links.items()
        if (fault := _fault_of_part(f"mms.parts.{number}", part, found[part.value]))
    ]
    if faults:
        named = "; ".join(f"{fault.field}: {fault.message}" for fault in faults[:_MOST_NAMED])
        raise Refusal(named + ("; and more" if len(faults) > _MOST_NAMED else ""), faults)


def _fault_of_part(place: str, part: Part, found: Found) -> Fault | None:
    if found.fault is not None:
        return Fault(f"{place}.url", found.fault)
    if part.content_type in (None, found.media_type):
        return None
    reason = f"is {part.content_type}, and the link answers {found.media_type}: correct it, or leave it out"
    return Fault(f"{place}.content_type", reason)


def check_links(urls: Sequence[str], allowed: Sequence[str], memory: LinkMemory = _memory) -> dict[str, Found]:
    """What came of asking each of these URLs; those that are well are remembered.

    `allowed`: the hosts that may be private, or asked over http, as `host[:port]`.
    """

    def ask(unknown: Sequence[str]) -> dict[str, Found]:
        return asyncio.run(_ask_all(unknown, allowed))

    return memory.recall(list(dict.fromkeys(urls)), ask, ALL_SECONDS)


async def _ask_all(urls: Sequence[str], allowed: Sequence[str]) -> dict[str, Found]:
    found = await asyncio.gather(*(_find(url, allowed) for url in urls))
    return dict(zip(urls, found, strict=True))


async def _find(text: str, allowed: Sequence[str]) -> Found:
    try:
        url = httpx.URL(check_url(text, allowed, _LINKS))
        async with asyncio.timeout(LINK_SECONDS):
            return Found(None, _media_type_in(await _ask(url, allowed)))
    except Forbidden:
        fault = f"leads to an address that is not public; {_LINKS.way_out}"
    except (socket.gaierror, UnicodeError):
        fault = "names a host that is not known, or cannot be looked up now"
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        fault = f"has no server that answers: {cause_of(error)}"
    except (TimeoutError, httpx.TimeoutException):
        fault = f"is not answered within {LINK_SECONDS:g} s"
    except httpx.InvalidURL as error:
        fault = f"is not a URL: {error}"
    except httpx.HTTPError as error:
        fault = f"is not answered in HTTP: {type(error).__name__}"
    except ValueError as error:  # of check_url, and of what was answered
        fault = str(error)
    return Found(fault)


async def _ask(url: httpx.URL, allowed: Sequence[str]) -> httpx.Response:
    """The answer to a HEAD, or where none is given to one, to a GET for a single byte. No body is read.

    Errors: Forbidden, gaierror, UnicodeError, HTTPError.
    """
    addresses = await addresses_of(url, allowed)
    async with open_client(LINK_SECONDS) as client:
        answer = await send(client, "HEAD", url, addresses, _HEADERS)
        await answer.aclose()
        if answer.status_code in _HEAD_IS_REFUSED:
            answer = await send(client, "GET", url, addresses, {**_HEADERS, "Range": "bytes=0-0"})
            await answer.aclose()
        return answer


def _media_type_in(answer: httpx.Response) -> str:
    """The type of the file that is there. Errors: BadMedia, as a sentence about the link."""
    if answer.is_redirect:
        target = answer.headers.get("Location", "")
        where = f"to {target[:_MOST_SHOWN]}" if target.isascii() and target.isprintable() and target else "elsewhere"
        raise BadMedia(
            f"leads on {where} (HTTP {answer.status_code}): link to the file itself, since carriers may not follow"
        )
    if not answer.is_success:
        raise BadMedia(f"answers HTTP {answer.status_code}: give a link to the file that anybody can fetch")
    try:
        media_type = media_type_of(answer.headers.get("Content-Type", ""))
    except BadMedia as error:
        raise BadMedia(f"is answered, but {error}") from error
    byte_count = _length_of(answer)
    if byte_count == 0:
        raise BadMedia("leads to an empty file: put the file there, or link to another")
    if byte_count is not None and byte_count > MOST_BYTES:
        raise BadMedia(f"leads to {byte_count:,} bytes, and at most {MOST_BYTES:,} can be sent: {WHAT_CARRIERS_TAKE}")
    return media_type


def _length_of(answer: httpx.Response) -> int | None:
    """Of the whole file, where the server tells it. Source: RFC 9110, Content-Range."""
    if answer.status_code == 206:
        length = answer.headers.get("Content-Range", "").rpartition("/")[2]
    else:
        length = answer.headers.get("Content-Length", "")
    return int(length) if length.isascii() and length.isdigit() else None
