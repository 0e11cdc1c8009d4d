"""The OpenAPI document says all that a caller needs."""

import re

import httpx

from worker.enqueue_batch import MOST_ROWS
from worker.media_rules import TYPES
from worker.mms import MOST_PARTS


def test_documentation_names_bodies_keys_and_problems(stranger: httpx.Client) -> None:
    document = stranger.get("/openapi.json").json()
    assert document["openapi"].startswith("3.")
    operation = document["paths"]["/v1/batches"]["post"]
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schema = document["components"]["schemas"][reference.rsplit("/", 1)[1]]
    assert set(schema["required"]) == {"surface", "messages"}
    assert schema["properties"]["messages"]["items"]["required"] == ["to"]
    assert "Idempotency-Key" in [parameter["name"] for parameter in operation["parameters"]]
    for path in document["paths"].values():
        for method in path.values():
            assert "Problem" in method["responses"]["default"]["content"]["application/problem+json"]["schema"]["$ref"]
            assert method.get("description") or method.get("summary")


def test_documentation_tells_the_bounds_that_are_held(stranger: httpx.Client) -> None:
    schemas = stranger.get("/openapi.json").json()["components"]["schemas"]
    rows = schemas["BatchIn"]["properties"]["messages"]
    assert (rows["minItems"], rows["maxItems"]) == (1, MOST_ROWS)
    parts = schemas["MmsIn"]["properties"]["parts"]
    assert (parts["minItems"], parts["maxItems"]) == (1, MOST_PARTS)
    window = schemas["BatchIn"]["properties"]["sending_window"]["anyOf"][1]["properties"]
    part = schemas["PartIn"]["properties"]
    for pattern, good, bad in (
        (window["from"]["pattern"], "09:00", "24:00"),
        (window["to"]["pattern"], "24:00", "24:01"),
        (part["content_id"]["pattern"], "a.1", "a" * 21),
    ):
        assert re.search(pattern, good)
        assert not re.search(pattern, bad)
    assert part["content_type"]["enum"] == [*TYPES, None]


def test_every_reference_in_the_documentation_leads_somewhere(stranger: httpx.Client) -> None:
    document = stranger.get("/openapi.json").json()
    names = set(document["components"]["schemas"])

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if isinstance(reference := value.get("$ref"), str):
                assert reference.removeprefix("#/components/schemas/") in names
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(document)
