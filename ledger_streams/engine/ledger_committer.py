"""The ledger's committer: decided cycles into Kafka, then into RocksDB.

One per worker process.  It holds the stores of the partitions taken over, the
transactional producer, and the source position of each partition, below which a
record has been carried out already.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from faust.types import TP

from ledger_streams.engine.batches import Cycle, Record, Share, merged
from ledger_streams.engine.dlq_limit import LetterRun, note_of
from ledger_streams.engine.loopback import Ahead
from ledger_streams.engine.state.changelogs import Changelogs
from ledger_streams.engine.state.source_offset_log import PositionLogs
from ledger_streams.engine.state.standby import Standby
from ledger_streams.engine.state.store import PartitionStore, Position, TableSpec
from ledger_streams.engine.state.takeover import Takeover
from ledger_streams.engine.state.takeover_progress import Phases, Place
from ledger_streams.engine.state.timers import Due
from ledger_streams.errors import InvariantBroken
from ledger_streams.kafka.fenced_offsets import Membership
from ledger_streams.kafka.records import AppendedBatch
from ledger_streams.kafka.transactions import Transactions
from ledger_streams.metrics import CYCLE_RECORDS, CYCLE_SECONDS, DEAD_LETTERS_IN_A_ROW

log = logging.getLogger(__name__)

ROUNDS_MAX = 10
"""Of one cycle, so that every transaction ends: more than a payment takes."""
ROUND_RECORDS_MAX = 2_000
"""Of a round that another one may follow."""


class LedgerCommitter:
    """Exactly once for agents, with or without tables: one transaction a cycle, state after the commit."""

    def __init__(  # noqa: PLR0913  # its parts, made in one place
        self,
        *,
        tables: Mapping[str, TableSpec[Any]],
        tables_dir: Path,
        changelog_topics: Mapping[str, str],
        takeover: Takeover,
        transactions: Transactions,
        intake: Collection[str] = (),
        letters_in_a_row_max: int = 0,
        standby: Standby | None = None,
        position_logs: PositionLogs | None = None,
    ) -> None:
        self._tables = tables
        """Table of each source topic (full name) that has one; a table may have more than one source."""
        self._sources: dict[str, list[str]] = {}
        """The source topics of each table, by its name; the first one first."""
        for topic, spec in tables.items():
            self._sources.setdefault(spec.name, []).append(topic)
        self._tables_dir = tables_dir
        self._changelogs = Changelogs(changelog_topics, self._sources)
        self._takeover = takeover
        self._transactions = transactions
        self._position_logs = position_logs or PositionLogs()
        self._standby = standby
        """None: what is not owned is closed, and as old as when it was owned last."""
        self._opened: dict[Place, PartitionStore] = {}
        """What is owned."""
        self._stores: dict[TP, PartitionStore] = {}
        """The same by source partition."""
        self._next: dict[TP, int] = {}
        self.ahead = Ahead(intake)
        self._letters: dict[TP, int] = {}
        """Dead letters in a row that each source partition has come to."""
        self._letters_in_cycle: dict[TP, int] = {}
        """The same, with the rounds of the cycle under way."""
        self._letters_in_a_row_max = letters_in_a_row_max
        """0: no limit."""

    async def take_over(
        self, assigned: frozenset[TP], membership: Membership, phases: Phases
    ) -> Mapping[TP, int]:
        """Open and restore the stores of `assigned`, close the others, return the positions to read from."""
        self.ahead.clear()
        phases.enter("producers")
        await self._transactions.start()
        phases.enter("open")
        self.drop_overlays()
        if self._standby is not None:
            await self._standby.stand_back()
        self._open(assigned)
        reached = await self._takeover.run(assigned, self._stores, phases)
        self._next = {tp: source_next for tp, (source_next, _) in reached.items()}
        self._note_letters({tp: letters for tp, (_, letters) in reached.items()})
        if self._standby is not None:
            self._standby.follow(self._opened)
        log.info("generation %d: took over %d partitions", membership.generation, len(assigned))
        return self._next

    def _open(self, assigned: frozenset[TP]) -> None:
        tables = {tp: self._tables[tp.topic] for tp in assigned if tp.topic in self._tables}
        places = {tp: (spec.name, tp.partition) for tp, spec in tables.items()}
        for place in set(self._opened) - set(places.values()):
            self._let_go(self._opened.pop(place))
        for tp, spec in tables.items():
            apart = [topic for topic in self._sources[spec.name] if TP(topic, tp.partition) not in assigned]
            if apart:
                raise InvariantBroken(f"{tp} is assigned without {apart}, which feed the same table")
            if places[tp] not in self._opened:
                followed = self._standby and self._standby.take(places[tp])
                self._opened[places[tp]] = followed or PartitionStore(self._tables_dir, spec, tp.partition)
        self._stores = {tp: self._opened[place] for tp, place in places.items()}

    def _let_go(self, store: PartitionStore) -> None:
        if self._standby is None:
            store.close()
        else:
            self._standby.give(store)

    def due(self, read_until_ms: Callable[[TP], int]) -> Mapping[TP, Sequence[Due]]:
        """Return the deadlines of the tables that have come, by the first source's partition."""
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
        """Return when the next deadline of any table comes."""
        dues = [due_ms for store in self._opened.values() if (due_ms := store.next_due_ms()) is not None]
        return min(dues, default=None)

    def share(
        self, tp: TP, records: Sequence[Record], due: Sequence[Due], passed_to: int = 0
    ) -> Share | None:
        """Return the records from the partition's position on, as a share; None when there is nothing."""
        position = self._next[tp]
        if records and records[0].offset < position:
            records = [record for record in records if record.offset >= position]
        if not records and not due and passed_to <= position:
            return None
        source_next = records[-1].offset + 1 if records else max(position, passed_to)
        letters_before = self._letters_in_cycle.get(tp, self._letters[tp])
        letters = LetterRun(letters_before, count_max=self._letters_in_a_row_max)
        store = self._stores.get(tp)
        return Share(tp, records, store, source_next=source_next, due=due, letters=letters)

    async def carry_on(self, cycle: Cycle, read_to: Callable[[TP], int]) -> Mapping[TP, Sequence[Record]]:
        """Send what the last round has caused, and return what of it comes next here; else commit.

        Records of a transaction are read by it in their place in the log, and its source offsets are past
        them: all of it happens, or nothing.  Raises CycleLost, see Transactions.commit.
        """
        began = time.perf_counter()
        sources = {share.tp: share.source_next for share in cycle.shares}
        for share in cycle.round_shares:
            self._letters_in_cycle[share.tp] = share.letters.at_end(len(share.records))
        outbox = merged(cycle.round_shares)
        self._changelogs.add_positions(outbox, self._opened.values(), {**self._next, **sources})
        outbox |= self._position_logs.records({share.tp: share.source_next for share in cycle.round_shares})
        if self._goes_on(cycle) and any(records and tp in self._next for tp, records in outbox.items()):
            self._changelogs.announce(outbox, self._stores)
            self._note_sent(cycle, await self._transactions.send(outbox, cycle.membership))
            outbox = {}
            further = self.ahead.take(read_to)
            if further:
                CYCLE_SECONDS.labels("send").observe(time.perf_counter() - began)
                return further
        letters = self._letters_in_cycle
        self._transactions.notes.update({tp: note_of(count) for tp, count in letters.items()})
        outbox = {tp: records for tp, records in outbox.items() if records}
        self._note_sent(cycle, await self._transactions.commit(outbox, sources, cycle.membership))
        CYCLE_SECONDS.labels("commit").observe(time.perf_counter() - began)
        self._committed(cycle, sources)
        return {}

    def _goes_on(self, cycle: Cycle) -> bool:
        """Whether a round may follow; with a backlog, large cycles are worth more than few of them."""
        if cycle.rounds >= ROUNDS_MAX or cycle.flood is not None or self._transactions.is_long_open:
            return False
        return sum(len(share.records) for share in cycle.round_shares) < ROUND_RECORDS_MAX

    def _note_sent(self, cycle: Cycle, appended: Sequence[AppendedBatch]) -> None:
        cycle.ends.update({batch.tp: batch.last_offset for batch in appended})
        self.ahead.add(appended, self._next)

    def _committed(self, cycle: Cycle, sources: Mapping[TP, int]) -> None:
        """Note how far the cycle has come, and write its state."""
        began = time.perf_counter()
        self._next.update(sources)
        self._note_letters(self._letters_in_cycle)
        self._letters_in_cycle = {}
        for share in cycle.shares:
            CYCLE_RECORDS.labels(share.tp.topic).inc(len(share.records))
        for store in {share.store for share in cycle.shares if share.store is not None}:
            self._keep(store, cycle.ends)  # a cycle that has changed nothing has come further all the same
        CYCLE_SECONDS.labels("keep").observe(time.perf_counter() - began)

    async def give_up(self) -> None:
        """Abort the transaction, if one is open."""
        await self._transactions.give_up()

    def _keep(self, store: PartitionStore, ends: Mapping[TP, int]) -> None:
        changelog = self._changelogs.of(store)
        changelog_next = ends[changelog] + 1 if changelog in ends else store.position.changelog_next
        first, *further = self._sources[store.spec.name]
        others = {topic: self._next[TP(topic, store.partition)] for topic in further}
        store.keep(Position(changelog_next, self._next[TP(first, store.partition)], others))

    def _note_letters(self, letters: Mapping[TP, int]) -> None:
        for tp, count in letters.items():
            if count or self._letters.get(tp):
                DEAD_LETTERS_IN_A_ROW.labels(*tp).set(count)
        self._letters.update(letters)

    def drop_overlays(self) -> None:
        """Forget what an uncommitted cycle has changed."""
        self._letters_in_cycle = {}
        for store in self._opened.values():
            store.drop_overlay()

    async def between_cycles(self) -> None:
        """Now and then look whether the broker has forgotten to end a transaction of this process."""
        await self._transactions.scan_hanging_transactions()

    async def close(self) -> None:
        """Close the stores and the producer."""
        if self._standby is not None:
            await self._standby.close()
        self._stores.clear()
        while self._opened:
            self._opened.popitem()[1].close()
        await self._transactions.drop()
