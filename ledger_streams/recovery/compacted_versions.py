"""Wallet versions removed by compaction, read back from the live tables during a rebuild."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from ledger_streams.adapters.postgres.replay import Gap, LiveTables
from ledger_streams.adapters.postgres.rows import WalletEventRow
from ledger_streams.engine.batches import Record
from ledger_streams.kafka.log_reader import Partition


class _Version(msgspec.Struct):
    aggregate_id: str
    event_version: int


_version = msgspec.json.Decoder(_Version).decode


class CompactedVersions:
    """Tracks the written version of each wallet and fills gaps from PostgreSQL."""

    def __init__(self, live: LiveTables) -> None:
        self._live = live
        self._versions: dict[str, int] = {}
        """The last version of each wallet."""
        self.from_postgres = 0

    def note_written(self, rows: Iterable[WalletEventRow]) -> None:
        """Note the versions of events that were written without a call of `fill`."""
        self._versions.update({row.wallet_id: row.event_version for row in rows})

    async def fill(self, partition: Partition, records: Sequence[Record]) -> Sequence[Record]:
        """Return the records with the compacted versions between them; the sink refuses any other gap."""
        heads = [_head(record) for record in records]
        gaps: list[Gap] = []
        for head in heads:
            last = self._versions.get(head.aggregate_id, 0)
            if head.event_version > last + 1:
                gaps.append((head.aggregate_id, last, head.event_version))
            self._versions[head.aggregate_id] = max(last, head.event_version)
        if not gaps:
            return records
        past = await self._live.past_wallet_events(gaps, partition)
        self.from_postgres += sum(map(len, past.values()))
        found: list[Record] = []
        for record, head in zip(records, heads, strict=True):
            found += past.get((head.aggregate_id, head.event_version), ())
            found.append(record)
        return found


def _head(record: Record) -> _Version:
    """Return the wallet and version of a record; empty for an unreadable one."""
    try:
        return _version(record.value or b"")
    except msgspec.MsgspecError:
        return _Version("", 0)
