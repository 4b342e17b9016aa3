"""Ledger committer: commits decided cycles to Kafka, then writes their state to RocksDB.

Each worker process has one.  It owns the stores of the assigned partitions, the transactional producers
and the source offset of each partition; records below a source offset have been carried out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from faust.types import TP

from ledger_streams.engine.batches import Cycle, PartitionBatch, Record, merge_outboxes
from ledger_streams.engine.dlq_limit import ConsecutiveDeadLetters, encode_offset_metadata
from ledger_streams.engine.loopback import LoopbackQueue
from ledger_streams.engine.state.changelogs import Changelogs
from ledger_streams.engine.state.source_offset_log import SourceOffsetLogs
from ledger_streams.engine.state.standby import Standby
from ledger_streams.engine.state.store import PartitionStore, Position, TableSpec
from ledger_streams.engine.state.takeover import Takeover
from ledger_streams.engine.state.takeover_progress import Place, TakeoverProgress
from ledger_streams.engine.state.timers import Due
from ledger_streams.errors import InvariantBroken
from ledger_streams.kafka.fenced_offsets import Membership
from ledger_streams.kafka.records import AppendedBatch
from ledger_streams.kafka.transactions import Transactions
from ledger_streams.metrics import CYCLE_RECORDS, CYCLE_SECONDS, DEAD_LETTERS_IN_A_ROW

log = logging.getLogger(__name__)

ROUNDS_MAX = 10
"""Rounds of one cycle at most, so that every transaction ends; a payment takes fewer."""
ROUND_RECORDS_MAX = 2_000
"""A larger round is committed at once: with a backlog, batching matters more than latency."""


class LedgerCommitter:
    """Commits each cycle in one transaction and writes the state afterwards, with or without tables."""

    def __init__(  # noqa: PLR0913  # its parts; bootstrap makes it
        self,
        *,
        tables: Mapping[str, TableSpec[Any]],
        tables_dir: Path,
        changelog_topics: Mapping[str, str],
        takeover: Takeover,
        transactions: Transactions,
        intake: Collection[str] = (),
        consecutive_dead_letters_max: int = 0,
        standby: Standby | None = None,
        source_offset_logs: SourceOffsetLogs | None = None,
    ) -> None:
        self._tables = tables
        """The table of each source topic (full name) with one; a table may have several sources."""
        self._sources: dict[str, list[str]] = {}
        """The source topics of each table, by the table's name; the first source decides timers."""
        for topic, spec in tables.items():
            self._sources.setdefault(spec.name, []).append(topic)
        self._tables_dir = tables_dir
        self._changelogs = Changelogs(changelog_topics, self._sources)
        self._takeover = takeover
        self._transactions = transactions
        self._source_offset_logs = source_offset_logs or SourceOffsetLogs()
        self._standby = standby
        """None: stores of revoked partitions are closed, and stay as old as they are."""
        self._opened: dict[Place, PartitionStore] = {}
        """The stores of assigned partitions."""
        self._stores: dict[TP, PartitionStore] = {}
        """The same stores by source partition."""
        self._next: dict[TP, int] = {}
        self.loopback = LoopbackQueue(intake)
        self._dead_letters: dict[TP, int] = {}
        """Consecutive dead letters at the committed source offset of each partition."""
        self._dead_letters_in_cycle: dict[TP, int] = {}
        """The same with the rounds of the cycle in flight."""
        self._consecutive_dead_letters_max = consecutive_dead_letters_max
        """0: no limit."""

    async def take_over(
        self, assigned: frozenset[TP], membership: Membership, progress: TakeoverProgress
    ) -> Mapping[TP, int]:
        """Open and restore the stores of `assigned`, close the others, return the source offsets."""
        self.loopback.clear()
        progress.enter("producers")
        await self._transactions.start()
        progress.enter("open")
        self.drop_overlays()
        if self._standby is not None:
            await self._standby.pause()
        self._open(assigned)
        reached = await self._takeover.run(assigned, self._stores, progress)
        self._next = {tp: source_next for tp, (source_next, _) in reached.items()}
        self._set_dead_letters({tp: dead_letters for tp, (_, dead_letters) in reached.items()})
        if self._standby is not None:
            self._standby.follow(self._opened)
        log.info("generation %d: took over %d partitions", membership.generation, len(assigned))
        return self._next

    def _open(self, assigned: frozenset[TP]) -> None:
        tables = {tp: self._tables[tp.topic] for tp in assigned if tp.topic in self._tables}
        places = {tp: (spec.name, tp.partition) for tp, spec in tables.items()}
        for place in set(self._opened) - set(places.values()):
            self._release_store(self._opened.pop(place))
        for tp, spec in tables.items():
            apart = [topic for topic in self._sources[spec.name] if TP(topic, tp.partition) not in assigned]
            if apart:
                raise InvariantBroken(
                    f"{tp} is assigned without {apart}, which feed the same table: "
                    "all members of the group have to run a version that reads these topics"
                )
            if places[tp] not in self._opened:
                followed = self._standby and self._standby.release(places[tp])
                self._opened[places[tp]] = followed or PartitionStore(self._tables_dir, spec, tp.partition)
        self._stores = {tp: self._opened[place] for tp, place in places.items()}

    def _release_store(self, store: PartitionStore) -> None:
        if self._standby is None:
            store.close()
        else:
            self._standby.adopt(store)

    def due(self, read_until_ms: Callable[[TP], int]) -> Mapping[TP, Sequence[Due]]:
        """Return the expired timers of all tables, by the partition of the table's first source."""
        found = {}
        for store in self._opened.values():
            if store.next_due_ms() is None:
                continue
            sources = [TP(topic, store.partition) for topic in self._sources[store.spec.name]]
            due = store.due(min(map(read_until_ms, sources)))
            if due:
                found[sources[0]] = due
        return found

    def next_due_ms(self) -> int | None:
        """Return the time of the next timer of any table."""
        dues = [due_ms for store in self._opened.values() if (due_ms := store.next_due_ms()) is not None]
        return min(dues, default=None)

    def new_batch(
        self, tp: TP, records: Sequence[Record], due: Sequence[Due], past_markers_to: int = 0
    ) -> PartitionBatch | None:
        """Return a batch of the records from the source offset on; None if it would be empty."""
        position = self._next[tp]
        if records and records[0].offset < position:
            records = [record for record in records if record.offset >= position]
        if not records and not due and past_markers_to <= position:
            return None
        source_next = records[-1].offset + 1 if records else max(position, past_markers_to)
        letters_before = self._dead_letters_in_cycle.get(tp, self._dead_letters[tp])
        dead_letters = ConsecutiveDeadLetters(letters_before, count_max=self._consecutive_dead_letters_max)
        store = self._stores.get(tp)
        return PartitionBatch(tp, records, store, source_next=source_next, due=due, dead_letters=dead_letters)

    async def advance(self, cycle: Cycle, read_to: Callable[[TP], int]) -> Mapping[TP, Sequence[Record]]:
        """Send the effects of the last round; return the next round's records, or commit and return none.

        A cycle may carry out records of its own open transaction: its source offsets lie past them, so
        the commit covers both or neither.  Raises CycleLost, see Transactions.commit.
        """
        began = time.perf_counter()
        sources = {batch.tp: batch.source_next for batch in cycle.batches}
        for batch in cycle.round_batches:
            self._dead_letters_in_cycle[batch.tp] = batch.dead_letters.at_end(len(batch.records))
        outbox = merge_outboxes(cycle.round_batches)
        self._changelogs.add_source_offsets(outbox, self._opened.values(), {**self._next, **sources})
        outbox |= self._source_offset_logs.records(
            {batch.tp: batch.source_next for batch in cycle.round_batches}
        )
        if self._may_continue(cycle) and any(records and tp in self._next for tp, records in outbox.items()):
            self._changelogs.add_partitions_to_txn(outbox, self._stores)
            self._note_sent(cycle, await self._transactions.send(outbox, cycle.membership))
            outbox = {}
            further = self.loopback.pop_ready(read_to)
            if further:
                CYCLE_SECONDS.labels("send").observe(time.perf_counter() - began)
                return further
        dead_letters = self._dead_letters_in_cycle
        self._transactions.notes.update(
            {tp: encode_offset_metadata(count) for tp, count in dead_letters.items()}
        )
        outbox = {tp: records for tp, records in outbox.items() if records}
        self._note_sent(cycle, await self._transactions.commit(outbox, sources, cycle.membership))
        CYCLE_SECONDS.labels("commit").observe(time.perf_counter() - began)
        self._committed(cycle, sources)
        return {}

    def _may_continue(self, cycle: Cycle) -> bool:
        """Return whether another round may follow in this transaction."""
        if cycle.rounds >= ROUNDS_MAX or cycle.dlq_limit_error is not None or self._transactions.is_long_open:
            return False
        return sum(len(batch.records) for batch in cycle.round_batches) < ROUND_RECORDS_MAX

    def _note_sent(self, cycle: Cycle, appended: Sequence[AppendedBatch]) -> None:
        cycle.ends.update({batch.tp: batch.last_offset for batch in appended})
        self.loopback.add(appended, self._next)

    def _committed(self, cycle: Cycle, sources: Mapping[TP, int]) -> None:
        """Move the source offsets and write the state of the committed cycle to the stores."""
        began = time.perf_counter()
        self._next.update(sources)
        self._set_dead_letters(self._dead_letters_in_cycle)
        self._dead_letters_in_cycle = {}
        for batch in cycle.batches:
            CYCLE_RECORDS.labels(batch.tp.topic).inc(len(batch.records))
        for store in {batch.store for batch in cycle.batches if batch.store is not None}:
            # Also after a cycle without a change: the source offset has moved.
            self._write_committed(store, cycle.ends)
        CYCLE_SECONDS.labels("keep").observe(time.perf_counter() - began)

    async def abort(self) -> None:
        """Abort the open transaction, if any."""
        await self._transactions.give_up()

    def _write_committed(self, store: PartitionStore, ends: Mapping[TP, int]) -> None:
        changelog = self._changelogs.of(store)
        changelog_next = ends[changelog] + 1 if changelog in ends else store.position.changelog_next
        first, *further = self._sources[store.spec.name]
        others = {topic: self._next[TP(topic, store.partition)] for topic in further}
        store.write_committed(Position(changelog_next, self._next[TP(first, store.partition)], others))

    def _set_dead_letters(self, dead_letters: Mapping[TP, int]) -> None:
        for tp, count in dead_letters.items():
            if count or self._dead_letters.get(tp):
                DEAD_LETTERS_IN_A_ROW.labels(*tp).set(count)
        self._dead_letters.update(dead_letters)

    def drop_overlays(self) -> None:
        """Drop the changes of an uncommitted cycle."""
        self._dead_letters_in_cycle = {}
        for store in self._opened.values():
            store.drop_overlay()

    async def between_cycles(self) -> None:
        """Scan for hanging transactions of this process, every now and then."""
        await self._transactions.scan_hanging_transactions()

    async def close(self) -> None:
        """Close the stores and the producers."""
        if self._standby is not None:
            await self._standby.close()
        self._stores.clear()
        while self._opened:
            self._opened.popitem()[1].close()
        await self._transactions.drop()
