"""Lists over HTTP, page by page."""

from collections.abc import Iterator
from typing import Any

import httpx


def items(client: httpx.Client, path: str, **query: Any) -> Iterator[dict[str, Any]]:
    """All of a list of the API's or of the sandbox's."""
    cursor: dict[str, str] = {}
    while True:
        page = client.get(path, params={**query, **cursor}).raise_for_status().json()
        yield from page["items"]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}
