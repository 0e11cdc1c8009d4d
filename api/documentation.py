"""The OpenAPI document: FastAPI's own, plus the bodies that our routes read themselves (bodies.JsonBody)."""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute

from api.bodies import JsonBody, JsonOrLines

DESCRIPTION = """
Hand SMS to Infobip through **surfaces**: each names a channel, a message type, a credential (an Infobip account) and a
sender. A `202` means that the message is stored; it is then delivered with its India DLT IDs attached, failed attempts
are repeated until its validity period ends, and every delivery report is recorded beside its callback data.

Send `Authorization: Bearer TOKEN`. Tokens have scopes: `send`, `read`, `replay`, `admin` (which implies the others).
Every POST that creates takes an `Idempotency-Key`: the same request twice does the work once. Errors are
`application/problem+json` and say what to change.
"""

TAGS = [
    {"name": "Messages", "description": "Send one message, find messages, and read the timeline of each."},
    {
        "name": "Batches",
        "description": "Send up to 10,000 messages in one request, or a million as NDJSON; see how far they are.",
    },
    {"name": "Reports", "description": "Every recorded delivery report, as a feed without gaps."},
    {"name": "Events", "description": "What happened, as a feed without gaps, or pushed to addresses of yours."},
    {"name": "Lanes", "description": "What waits where, for how long, and what holds it."},
    {"name": "Inbound", "description": "What handsets wrote, what it made of consent, and how it was answered."},
    {"name": "Consents", "description": "What people have said of marketing: read, set, imported, exported."},
    {"name": "Media", "description": "Files for MMS, uploaded to Infobip."},
    {"name": "DLT templates", "description": "India: what operators have registered, and whether a text fits it."},
    {"name": "Surfaces", "description": "What a send names: channel, message type, credential, sender."},
    {"name": "Credentials", "description": "Infobip accounts: key, address, rate, keywords, defaults."},
    {"name": "Webhooks", "description": "Where Infobip pushes delivery reports and inbound messages."},
    {"name": "Health", "description": "Alive, ready, measured."},
]

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What went wrong and what to change."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {
                    "index": {"type": "integer", "description": "Row of a batch, from 0."},
                    "field": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
KEY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "Kept 7 days: the first 2xx answer is given again, another body is a 409.",
}


def complete(document: dict[str, Any], routers: Iterable[APIRouter]) -> dict[str, Any]:
    """Add request bodies, the Idempotency-Key header, and the problem body to FastAPI's document."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute):
                for method in route.methods or ():
                    _complete_operation(document["paths"][route.path][method.lower()], route, method, schemas)
    return document


def _complete_operation(operation: dict[str, Any], route: APIRoute, method: str, schemas: dict[str, Any]) -> None:
    operation["responses"].pop("422", None)
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    operation["responses"]["default"] = {
        "description": "Any error",
        "content": {"application/problem+json": problem},
    }
    for dependency in route.dependant.dependencies:
        body = dependency.call.json if isinstance(dependency.call, JsonOrLines) else dependency.call
        if not isinstance(body, JsonBody):
            continue
        schema = body.model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[schema["title"]] = schema
        reference = {"$ref": f"#/components/schemas/{schema['title']}"}
        # Beside what the route says itself of its body.
        described = operation.setdefault("requestBody", {"required": True}).setdefault("content", {})
        described["application/json"] = {"schema": reference}
        if method == "POST":
            operation.setdefault("parameters", []).append(KEY_HEADER)
