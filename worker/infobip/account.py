"""An account of Infobip's: where and as whom to call."""

import hashlib
from dataclasses import dataclass, field

SHARED_URL = "https://api.infobip.com"  # serves every account; others have a host of their own


@dataclass(frozen=True, slots=True)
class Account:
    base_url: str
    api_key: str = field(repr=False)

    @property
    def identity(self) -> str:
        """The same for all that name one account of Infobip's: its own host does, and on the shared one the key may."""
        if self.base_url != SHARED_URL:
            return self.base_url
        return f"{self.base_url} {hashlib.sha256(self.api_key.encode()).hexdigest()[:16]}"
