"""The surface of a send: what it and its credential give, by which a dry run judges as the API would."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from cli.api_client import ApiAway, ApiClient
from cli.send_shapes import manner_of
from worker.dlt.known import Templates
from worker.dlt.screen import Screen
from worker.dlt.templates import Category, Pattern, Registered, compile_template
from worker.orders import Values
from worker.rows import Reading
from worker.words import Channel, DltPolicy, MessageType

_TEMPLATES = "/v1/dlt-templates"


def read_surface(api: ApiClient, send: Mapping[str, Any]) -> dict[str, Any]:
    surface: dict[str, Any] = api.read(f"/v1/surfaces/{quote(send['surface'], safe='')}")
    return surface


def check_reading(api: ApiClient, send: Mapping[str, Any]) -> None:
    """Whoever waits for the end has to read. Errors: CommandError, before anything is sent, where the token may not."""
    with suppress(ApiAway):  # the send itself is patient
        read_surface(api, send)


def reading_of(api: ApiClient, surface: Mapping[str, Any], *, names_templates: bool) -> Reading:
    """By what rows are read that go through it. `names_templates`: rows, or what they share, may name DLT templates."""
    is_screened = surface["dlt"] != DltPolicy.OFF
    return Reading(
        channel=Channel(surface["channel"]),
        default_country=surface["default_country"],
        values=_values(api, surface),
        manner=manner_of(surface),
        screen=_screen(api, surface) if is_screened or names_templates else None,
    )


def _values(api: ApiClient, surface: Mapping[str, Any]) -> Values:
    """What a send inherits from its surface and that one's credential."""
    names = ("content_template_id", "principal_entity_id")
    credential = api.read(f"/v1/credentials/{surface['credential_id']}")
    of_surface, of_credential = (Values(**{name: level[name] for name in names}) for level in (surface, credential))
    return of_surface.over(of_credential)


def _screen(api: ApiClient, surface: Mapping[str, Any]) -> Screen:
    """With every template that is registered, and the API's own limit for a variable."""
    most: int = api.read(_TEMPLATES, limit=1)["variable_length"]
    is_mms = surface["channel"] == Channel.MMS
    sender = (surface["fallback_sender"] if is_mms else None) or surface["sender"]
    policy = DltPolicy(surface["dlt"])
    return Screen(Templates(_patterns(api), most), sender, MessageType(surface["message_type"]), policy)


def _patterns(api: ApiClient) -> Iterator[Pattern]:
    for item in api.items(_TEMPLATES):
        yield compile_template(
            Registered(
                template_id=item["content_template_id"],
                entity_id=item["principal_entity_id"],
                name=item["name"],
                headers=tuple(item["headers"]),
                category=Category(item["category"]),
                text=item["text"],
                language=item["language"],
                url_allow_list=tuple(item["url_allow_list"]),
            )
        )
