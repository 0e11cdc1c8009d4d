"""Content uploaded for MMS: which is at hand, and until when. Of the bytes themselves nothing is ever asked."""

import secrets

ID_BYTES = 64


class Uploads:
    def __init__(self) -> None:
        self._kept_until_ms: dict[str, int] = {}

    def keep(self, until_ms: int) -> str:
        """The ID that content gets: a long number in hexadecimal, as Infobip's are."""
        uploaded_id = secrets.token_hex(ID_BYTES).upper()
        self._kept_until_ms[uploaded_id] = until_ms
        return uploaded_id

    def has(self, uploaded_id: str, at_ms: int) -> bool:
        return self._kept_until_ms.get(uploaded_id, 0) > at_ms
