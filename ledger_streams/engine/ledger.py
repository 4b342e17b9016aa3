"""The ledger's committer: decided cycles into Kafka, then into RocksDB.

One per worker process.  It holds the stores of the partitions taken over, the
transactional producer, and the source position of each partition, below which a
record has been carried out already.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from faust.types import TP

from ledger_streams.engine.cycles import Cycle, Record, Share, merged
from ledger_streams.engine.kip447 import Membership
from ledger_streams.engine.store import PartitionStore, Position, TableSpec
from ledger_streams.engine.takeover import Takeover
from ledger_streams.engine.transactions import Transactions
from ledger_streams.metrics import CYCLE_RECORDS, CYCLE_SECONDS

log = logging.getLogger(__name__)


class LedgerCommitter:
    """Exactly once for agents that have tables: one Kafka transaction a cycle, state after the commit."""

    def __init__(
        self,
        *,
        tables: Mapping[str, TableSpec[Any]],
        tables_dir: Path,
        changelog_topics: Mapping[str, str],
        takeover: Takeover,
        transactions: Transactions,
    ) -> None:
        self._tables = tables
        """Table of each source topic (full name) that has one."""
        self._tables_dir = tables_dir
        self._changelog_topics = changelog_topics
        self._takeover = takeover
        self._transactions = transactions
        self._stores: dict[TP, PartitionStore] = {}
        self._next: dict[TP, int] = {}

    async def take_over(self, assigned: frozenset[TP], membership: Membership) -> Mapping[TP, int]:
        """Open and restore the stores of `assigned`, close the others, return the positions to read from."""
        await self._transactions.start()
        for tp in set(self._stores) - assigned:
            self._stores.pop(tp).close()
        for tp in assigned:
            spec = self._tables.get(tp.topic)
            if spec is not None and tp not in self._stores:
                self._stores[tp] = PartitionStore(self._tables_dir, spec, tp.partition)
        self.drop_overlays()
        self._next = await self._takeover.run(assigned, self._stores)
        log.info("generation %d: took over %d partitions", membership.generation, len(assigned))
        return self._next

    def share(self, tp: TP, records: Sequence[Record]) -> Share | None:
        """Return the records from the partition's position on, as a share; None when there are none."""
        position = self._next[tp]
        if records[0].offset < position:
            records = [record for record in records if record.offset >= position]
        return Share(tp, records, self._stores.get(tp)) if records else None

    async def commit(self, cycle: Cycle) -> None:
        """Commit the cycle's transaction, then write its state; raises CycleLost, see Transactions.commit."""
        began = time.perf_counter()
        sources = {share.tp: share.source_next for share in cycle.shares}
        ends = await self._transactions.commit(merged(cycle.shares), sources, cycle.membership)
        committed = time.perf_counter()
        for share in cycle.shares:
            self._keep(share, ends)
        CYCLE_SECONDS.labels("commit").observe(committed - began)
        CYCLE_SECONDS.labels("keep").observe(time.perf_counter() - committed)

    def _keep(self, share: Share, ends: Mapping[TP, int]) -> None:
        self._next[share.tp] = share.source_next
        CYCLE_RECORDS.labels(share.tp.topic).inc(len(share.records))
        store = share.store
        if store is not None and store.changed:
            changelog = TP(self._changelog_topics[store.spec.name], store.partition)
            store.keep(Position(ends[changelog] + 1, share.source_next))

    def drop_overlays(self) -> None:
        """Forget what an uncommitted cycle has changed."""
        for store in self._stores.values():
            store.drop_overlay()

    async def close(self) -> None:
        """Close the stores and the producer."""
        while self._stores:
            self._stores.popitem()[1].close()
        await self._transactions.drop()
