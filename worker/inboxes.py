"""Inboxes at Infobip: whose are pulled, and for which credential a message in one is.

An account has one for each channel, whichever of its credentials asks: so each is asked once, and each message is for
the credential whose number it was written to.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from worker.credential_rules import bare_number
from worker.infobip.account import Account
from worker.infobip.inbound import Inbound
from worker.infobip.reading import BadItem
from worker.secrets import SecretUnreadable, decrypt
from worker.words import Channel, MessageType

_SOURCES = text(f"""
    SELECT c.id AS credential_id, c.version, c.base_url, c.api_key, c.inbound_number, l.id AS lane_id FROM credential c
    JOIN lane l ON l.credential_id = c.id
        AND l.channel = '{Channel.SMS}' AND l.message_type = '{MessageType.TRANSACTIONAL}'
    WHERE c.inbound_pull AND c.deleted_at IS NULL
    ORDER BY c.id DESC
""")

Item = Inbound | BadItem
InboxName = tuple[str, Channel]
KeyName = tuple[UUID, int, Channel]


class Source(NamedTuple):
    """A credential that pulls. `lane_id` is the lane that its replies take, whatever the channel."""

    credential_id: UUID
    version: int
    base_url: str
    api_key: bytes  # encrypted
    inbound_number: str | None
    lane_id: UUID

    @property
    def account(self) -> str:
        """Its identity. Keys that nobody can read are as one: on the shared host nothing tells whose they are, and none
        of them is asked with."""
        try:
            return Account(self.base_url, decrypt(self.api_key)).identity
        except SecretUnreadable:
            return Account(self.base_url, "").identity


class Share(NamedTuple):
    """What of a page is for a credential."""

    source: Source
    items: list[Item]


class Inbox(NamedTuple):
    """What an account keeps for us of a channel, and the credentials that pull it: at least one, the newest first."""

    account: str  # its identity
    channel: Channel
    sources: list[Source]

    @property
    def name(self) -> InboxName:
        return self.account, self.channel

    def key_name(self, source: Source) -> KeyName:
        """Of the key with which a source asks here. A changed key or address is another one."""
        return source.credential_id, source.version, self.channel

    def shares(self, items: Sequence[Item]) -> list[Share]:
        """For each: the credential of the number it was written to, else the one without a number, else the newest,
        where it is `other_number`. Of two that claim the same, the newer."""
        owners = {bare_number(one.inbound_number): one for one in reversed(self.sources) if one.inbound_number}
        otherwise = next((one for one in self.sources if not one.inbound_number), self.sources[0])
        shares: dict[Source, list[Item]] = defaultdict(list)
        for item in items:
            recipient = item.recipient if isinstance(item, Inbound) else None
            owner = owners.get(bare_number(recipient), otherwise) if recipient else otherwise
            shares[owner].append(item)
        return [Share(owner, mine) for owner, mine in shares.items()]


def pulled_inboxes(connection: Connection) -> list[Inbox]:
    """Those of every account with a credential that pulls (`inbound_pull`), one for each channel."""
    by_account: dict[str, list[Source]] = defaultdict(list)
    for row in connection.execute(_SOURCES):
        source = Source(**row._mapping)
        by_account[source.account].append(source)
    return [Inbox(account, channel, sources) for account, sources in by_account.items() for channel in Channel]
