"""Proofs of inclusion: one event belongs to a closed day, verifiable without the database.

A proof contains the row's canonical bytes, the hash of the row before it, and the Merkle path to the
day's root.  A verifier needs the proof and the root from an independent source.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ledger_streams.adapters.postgres.hash_chain import GENESIS, link
from ledger_streams.audit.chains import ChainLink
from ledger_streams.audit.database import SQL, Audit, leaves
from ledger_streams.audit.roots import Root, spans
from ledger_streams.domain.merkle import Step, Tree, root_by
from ledger_streams.errors import Rejected


class Proof(msgspec.Struct, frozen=True):
    """Proof that `content` (canonical JSON) is in the day with this root; hashes are hexadecimal."""

    event_id: str
    day: str
    content: str
    before: str
    path: list[Step]
    root: str
    seal: str


async def make_proof(audit: Audit, wallet_topic: str, event_id: str) -> Proof:
    """Return the proof of an event; raises Rejected for an unknown event or one of an open day."""
    row, before = await _chain_link(audit, wallet_topic, event_id)
    assert row.content is not None, "archived events were refused"
    days = [root.day for root in audit.roots]
    if row.day not in days:
        raise Rejected(status=409, title="Open", detail=f"the day of event {event_id} is not closed yet")
    number = days.index(row.day)
    root = audit.roots[number]
    path = await _path(audit, root, audit.roots[number - 1] if number else None, wallet_topic, row.chain_hash)
    return Proof(event_id, root.day, row.content.decode(), before.hex(), path, root.root, root.seal)


def verify_proof(given: Proof) -> bool:
    """Tell whether the content is that of the event and its path leads to the root."""
    content: list[Any] = msgspec.json.decode(given.content)
    place = {"event": 1, "wallet_event": 3}.get(content[0])
    if place is None or content[place] != given.event_id:
        return False
    chain_hash = link(bytes.fromhex(given.before), given.content.encode())
    return root_by(given.path, chain_hash).hex() == given.root


async def _chain_link(audit: Audit, wallet_topic: str, event_id: str) -> tuple[ChainLink, bytes]:
    """Return the event's row and the hash of the row before it."""
    if month := await audit.connection.fetchval(SQL["month_of_archived"], event_id):
        detail = f"event {event_id} is archived: `ledger-streams archive attach {month}` puts it back"
        raise Rejected(status=409, title="Archived", detail=detail)
    if found := await audit.connection.fetchrow(SQL["event"], event_id):
        row = audit.linked(found)
        source = found["topic"], found["source_partition"], found["source_offset"]
        return row, await audit.connection.fetchval(SQL["hash_before"], *source) or GENESIS
    wallet_id = await audit.connection.fetchval(SQL["wallet_of_event"], event_id)
    if wallet_id is None:
        raise Rejected(status=404, title="Unknown", detail=f"there is no event {event_id}")
    before = GENESIS
    async for record in audit.rows("wallet_events", [], [], 0, wallet_id):
        row = audit.linked_wallet(record, wallet_topic)
        if record["event_id"] == event_id:
            return row, before
        before = row.chain_hash
    raise AssertionError("the event was there under the same snapshot")


async def _path(
    audit: Audit, root: Root, before: Root | None, wallet_topic: str, chain_hash: bytes
) -> list[Step]:
    within = spans(root.ends, before.ends if before else {})
    number = 0
    async for other in leaves(audit.connection, within, wallet_topic):
        if other >= chain_hash:
            break
        number += 1
    tree = Tree(target=number)
    async for other in leaves(audit.connection, within, wallet_topic):
        tree.add(other)
    tree.root()
    return tree.path
