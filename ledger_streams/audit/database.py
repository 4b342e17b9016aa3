"""The audit of PostgreSQL: days closed, every chain followed, proofs given.

Everything is read under one snapshot and streamed, so memory use is constant.  A result is only as
trustworthy as the database it is read from.  A verification therefore compares it with roots and
seals that are stored outside of the database.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import msgspec

from ledger_streams.adapters.postgres.hash_chain import event_content, wallet_event_content
from ledger_streams.adapters.postgres.pool import Connection, Pool, acquire_connection
from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.adapters.postgres.rows import EventRow, PostingRow, WalletEventRow
from ledger_streams.audit.chains import FINDINGS_MAX, ChainCheck, ChainLink, Finding
from ledger_streams.audit.roots import Boundaries, Days, Root, Span, offsets, seal, seal_of, spans
from ledger_streams.domain.merkle import Tree
from ledger_streams.errors import Unavailable

log = logging.getLogger(__name__)
SQL: Final = queries("audit")
ROWS_AT_ONCE: Final = 2_000
STATEMENT_S_MAX: Final = 3_600.0
_boundaries: Final = msgspec.json.Decoder(Boundaries).decode


async def close_day(pool: Pool, wallet_topic: str, key: str) -> Root | None:
    """Close the first UTC day that has ended and is not closed; None when there is none.

    A day contains the records projected within it, by PostgreSQL's clock.  The first closed day is the
    first whole day and also contains everything projected before it.  After missed days, call it until
    it returns None.  Returns None too while another process closes the day; raises Unavailable for a
    role without the rights.
    """
    async with acquire_connection(pool) as connection:
        try:
            async with connection.transaction(isolation="repeatable_read"):
                return await _close(connection, wallet_topic, key)
        except asyncpg.UniqueViolationError:
            log.info("Day not closed here: another process closed it first.")
            return None
        except asyncpg.InsufficientPrivilegeError as error:
            raise _missing_rights(error) from error


async def is_due(pool: Pool) -> bool:
    """Tell whether an ended day is not closed yet (another process may be closing it); raises Unavailable."""
    try:
        async with acquire_connection(pool) as connection:
            found: bool = await connection.fetchval(SQL["due"])
            return found
    except asyncpg.InsufficientPrivilegeError as error:
        raise _missing_rights(error) from error


async def roots(pool: Pool) -> list[Root]:
    """Return the closed days, in order."""
    async with acquire_connection(pool) as connection:
        return await _roots(connection)


@asynccontextmanager
async def open_audit(pool: Pool) -> AsyncIterator[Audit]:
    """Open an audit under one snapshot of the database."""
    async with (
        acquire_connection(pool) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute(SQL["long"])
        yield Audit(connection, await _roots(connection))


class Audit:
    """Reader of all chained rows under one snapshot; made by `open_audit`."""

    def __init__(self, connection: Connection, roots: Sequence[Root]) -> None:
        self.connection = connection
        self.roots = roots
        self._days = Days(roots)

    async def events(self, since: Root | None) -> tuple[ChainCheck, list[Finding]]:
        """Verify the chains of `events` from the end of day `since`; return the check and the findings."""
        begin = {_name(*place): head for place, _, head in offsets(since.ends) if head} if since else {}
        check = ChainCheck(begin, gapless=False)
        places = [(*place, offset) for place, offset, _ in offsets(since.ends)] if since else []
        async for row in self.rows("events", *_columns(places, 3)):
            check.add(self.linked(row))
            if len(check.found) >= FINDINGS_MAX:
                return check, check.found
        found, ends = check.found, await self.connection.fetch(SQL["boundaries"])
        heads = {_name(row["topic"], row["partition"]): row["head"] for row in ends if row["head"]}
        for chain in sorted(heads.keys() | check.heads.keys()):
            if check.heads.get(chain, b"").hex() != heads.get(chain):
                detail = "rows are missing after it or were inserted: the position has another hash"
                found.append(Finding("events", chain, str(check.last.get(chain, "begin")), "open", detail))
        return check, found

    async def wallets(
        self, wallet_topic: str, since: Root | None, wallet_id: str | None
    ) -> tuple[int, list[Finding]]:
        """Verify the chains of wallets: one wallet, those changed after the day `since`, or all."""
        check = ChainCheck(gapless=True)
        places = list(offsets(since.ends)) if since else []
        begun = [(place[1], offset) for place, offset, _ in places if place[0] == wallet_topic]
        least = min((offset for _, offset in begun), default=0)
        async for row in self.rows("wallet_events", *_columns(begun, 2), least, wallet_id):
            check.add(self.linked_wallet(row, wallet_topic))
            if len(check.found) >= FINDINGS_MAX:
                return check.rows, check.found
        found = check.found
        for row in await self.connection.fetch(SQL["wallet_heads"], wallet_id, timeout=STATEMENT_S_MAX):
            detail = f"the snapshot has version {row['said']}, the last event version {row['found']}"
            place = str(row["said"] or row["found"])
            found.append(Finding("wallet_snapshots", f"wallet {row['wallet_id']}", place, "open", detail))
        if wallet_id is None:
            for row in await self.connection.fetch(SQL["stray_postings"], timeout=STATEMENT_S_MAX):
                subject, detail = (
                    f"event {row['event_id']}",
                    "inserted, or its event is missing",
                )
                found.append(Finding("postings", subject, str(row["leg"]), "open", detail))
        return check.rows, found

    async def days(self, wallet_topic: str, since: Root | None, key: str) -> list[Finding]:
        """Compute each root again from the rows and each seal from the roots; return the differences."""
        found = []
        before: Root | None = None
        for root in self.roots:
            if since is None or root.day > since.day:
                within = spans(root.ends, before.ends if before else {})
                tree = await _tree(self.connection, within, wallet_topic)
                if (tree.root().hex(), tree.leaves) != (root.root, root.leaves):
                    detail = (
                        f"{tree.leaves} rows of root {tree.root().hex()}, not {root.leaves} of {root.root}"
                    )
                    found.append(Finding("audit_roots", "the day's rows", "root", root.day, detail))
            if root.keyed and not key:
                detail = "made with LEDGER_AUDIT_KEY, which is not set"
                found.append(Finding("audit_roots", "the seal", "seal", root.day, detail))
            elif seal_of(root, before.seal if before else "", key) != root.seal:
                detail = "not that of the root and of the seal before"
                found.append(Finding("audit_roots", "the seal", "seal", root.day, detail))
            before = root
        return found

    async def rows(self, query: str, *arguments: object) -> AsyncIterator[asyncpg.Record]:
        """Yield the rows of a query of `sql/audit.sql`."""
        cursor = self.connection.cursor(
            SQL[query], *arguments, prefetch=ROWS_AT_ONCE, timeout=STATEMENT_S_MAX
        )
        async for row in cursor:
            yield row

    def linked(self, row: asyncpg.Record) -> ChainLink:
        """Read a row of `events`, `event_repeats` or `archived_events`."""
        event = EventRow._make(list(row.values())[: len(EventRow._fields)])
        chain = _name(event.topic, event.source_partition)
        is_archived = row["stored_in"] == "archived_events"
        about = f"{event.event_type} of {event.aggregate_id}"
        subject = f"{chain} {f'archived event {event.event_id}' if is_archived else about}"
        day = self._days.day(event.topic, event.source_partition, event.source_offset)
        content = None if is_archived else event_content(event)
        bears = event.chain_hash or b""
        return ChainLink(row["stored_in"], chain, event.source_offset, content, bears, subject, day)

    def linked_wallet(self, row: asyncpg.Record, topic: str) -> ChainLink:
        """Read a row of `wallet_events` with its postings."""
        event = WalletEventRow._make(list(row.values())[: len(WalletEventRow._fields)])
        legs = [PostingRow._make(leg) for leg in row["legs"] or ()]
        day = self._days.day(topic, event.source_partition, event.source_offset)
        subject = f"wallet {event.wallet_id}"
        content, bears = wallet_event_content(event, legs), event.chain_hash or b""
        return ChainLink("wallet_events", subject, event.event_version, content, bears, subject, day)


async def _close(connection: Connection, wallet_topic: str, key: str) -> Root | None:
    if not await connection.fetchval(SQL["lock"]):
        return None
    if not await connection.fetchval(SQL["due"]):
        return None
    await connection.execute(SQL["long"])
    day, closed = await connection.fetchval(SQL["next_day"]), await _roots(connection)
    root = await _make_root(connection, day, closed[-1] if closed else None, wallet_topic, key)
    boundaries = msgspec.json.encode(root.boundaries).decode()
    values = (root.day, root.root, root.leaves, boundaries, root.keyed, root.seal)
    await connection.execute(SQL["put_root"], *values)
    return root


def _missing_rights(error: Exception) -> Unavailable:
    detail = f"{error}: grant the rights with `ledger-streams db roles --apply`"
    return Unavailable(dependency="postgres", detail=detail)


async def _roots(connection: Connection) -> list[Root]:
    rows: list[Mapping[str, Any]] = [dict(row) for row in await connection.fetch(SQL["roots"])]
    return [Root(**{**row, "boundaries": _boundaries(row["boundaries"])}) for row in rows]


async def _make_root(connection: Connection, day: str, before: Root | None, topic: str, key: str) -> Root:
    boundaries: Boundaries = {}
    since = [(*place, offset) for place, offset, _ in offsets(before.ends)] if before else []
    for row in await connection.fetch(
        SQL["boundaries_of"], day, topic, *_columns(since, 3), timeout=STATEMENT_S_MAX
    ):
        end = (row["next_offset"], row["head"])
        boundaries.setdefault(row["topic"], {})[str(row["partition"])] = end
    tree = await _tree(connection, spans(boundaries, before.ends if before else {}), topic)
    root = Root(day, tree.root().hex(), tree.leaves, boundaries, keyed=False, seal="")
    return seal(root, before.seal if before else "", key)


async def _tree(connection: Connection, within: Sequence[Span], wallet_topic: str) -> Tree:
    tree = Tree()
    async for chain_hash in leaves(connection, within, wallet_topic):
        tree.add(chain_hash)
    return tree


async def leaves(connection: Connection, within: Sequence[Span], wallet_topic: str) -> AsyncIterator[bytes]:
    """Yield the chain hashes of some spans, sorted."""
    least = min((span.since for span in within), default=0)
    beyond = max((span.until for span in within), default=0)
    columns = _columns([msgspec.structs.astuple(span) for span in within], 4)
    arguments = (*columns, wallet_topic, least, beyond)
    async for row in connection.cursor(
        SQL["leaves"], *arguments, prefetch=ROWS_AT_ONCE, timeout=STATEMENT_S_MAX
    ):
        yield row["chain_hash"] or b""


def _name(topic: str, partition: int) -> str:
    return f"{topic}[{partition}]"


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[Sequence[Any]]:
    return list(zip(*rows, strict=True)) or [()] * width
