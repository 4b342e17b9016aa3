"""Gaps: the versions of wallets that compaction has taken, made again from the live tables in a replay."""

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
    """Follows the versions of wallets, as far as they are written."""

    def __init__(self, live: LiveTables) -> None:
        self._live = live
        self._versions: dict[str, int] = {}
        """The last version of each wallet."""
        self.from_postgres = 0

    def note_written(self, rows: Iterable[WalletEventRow]) -> None:
        """Note events that were written without having been asked for here."""
        self._versions.update({row.wallet_id: row.event_version for row in rows})

    async def fill(self, partition: Partition, records: Sequence[Record]) -> Sequence[Record]:
        """Return the records and what compaction has taken between them; the sink refuses other gaps."""
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
    """Return whose version a record is; of one that cannot be read, nobody's."""
    try:
        return _version(record.value or b"")
    except msgspec.MsgspecError:
        return _Version("", 0)
