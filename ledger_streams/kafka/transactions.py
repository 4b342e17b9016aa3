"""Transactions: one transaction a cycle, by two producers in turn.

Everything was decided before `commit` is called, so nothing slow happens while a
transaction is open.  A commit is decided when it is answered, but its markers are
still being written, and until then the same producer may not begin again; the other
one may.  Whenever a transaction does not end well both producers are thrown away:
starting the next ones, under the same transactional ids, makes the broker settle
what the old ones have left open, whatever its state was, and even what it has forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.errors import IllegalOperation, KafkaError, LeaderNotAvailableError, MessageSizeTooLargeError

from ledger_streams.errors import InvariantBroken, Unavailable
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.client_options import Bootstrap, options
from ledger_streams.kafka.fenced_offsets import FencedProducer, Membership, check_fences
from ledger_streams.kafka.hanging_transaction_scan import HangingTransactionScan
from ledger_streams.kafka.lz4 import compress_fast
from ledger_streams.kafka.missing_rights import missing_right
from ledger_streams.kafka.record_batches import BATCH_BYTES_MAX, acknowledged, queued
from ledger_streams.kafka.records import AppendedBatch, Outbox
from ledger_streams.kafka.requests import REQUEST_TIMEOUT_MS
from ledger_streams.kafka.transaction_settlement import NOTHING_OWED, Owed
from ledger_streams.kafka.transactional_producer import discard, start_settled

log = logging.getLogger(__name__)

RETRY_BACKOFF_MS = 5
"""Between tries of a request; a transaction right after another meets CONCURRENT_TRANSACTIONS."""

START_BACKOFF_MS_MAX = 5_000

GIVE_UP_S_MAX = 2.0

LONG_PART = 0.25
"""Of a transaction's time; what a slow broker has left over has to suffice for the commit."""


class CycleLost(Unavailable):
    """The cycle's transaction did not happen, or its outcome is unknown: take the partitions over anew."""


PRODUCERS = 2
"""Enough for the one's markers to be written during the other's transaction."""


class Transactions:
    """The worker's transactional producers."""

    def __init__(  # noqa: PLR0913  # all of them are the broker's business
        self,
        *,
        bootstrap: Bootstrap,
        transactional_id: str,
        group_id: str,
        transaction_timeout_ms: int,
        topics: Collection[str],
        clock: BrokerClock,
    ) -> None:
        compress_fast()
        self._bootstrap = bootstrap
        self._transactional_id = transactional_id
        self._group_id = group_id
        self._transaction_timeout_ms = transaction_timeout_ms
        self._topics = topics
        """All that a transaction may have records for, full names."""
        self._clock = clock
        self._producers: deque[FencedProducer] = deque()
        """The next one to be used first."""
        self._owed: list[Owed] = [NOTHING_OWED] * PRODUCERS
        """Of each producer, the partitions without a leader when it started, which it has still to settle."""
        self._open: FencedProducer | None = None
        """Whose transaction is open."""
        self._began_s = time.monotonic()
        self._scan = HangingTransactionScan(self._producers, topics, lambda: set().union(*self._owed))
        self.notes: dict[TopicPartition, str] = {}
        """What is noted beside a source position whenever that is committed; stays until it is changed."""

    async def start(self) -> None:
        """Start the producers if there are none, which settles the last ones' transactions."""
        backoff_ms = 100
        while not self._producers:
            producers = [self._new_producer(number) for number in range(PRODUCERS)]
            try:
                for number, producer in enumerate(producers):
                    self._owed[number] = await start_settled(
                        producer, self._topics, self._group_id, owed=self._owed[number]
                    )
                self._producers.extend(producers)
            except KafkaError as error:
                for producer in producers:
                    await discard(producer)
                reason = missing_right(error) or repr(error)
                log.warning("no transactional producer, trying again in %d ms: %s", backoff_ms, reason)
                await asyncio.sleep(backoff_ms / 1000)
                backoff_ms = min(backoff_ms * 2, START_BACKOFF_MS_MAX)

    async def scan_hanging_transactions(self) -> None:
        """Have looked, if it is time, whether a broker has forgotten to end a transaction that was committed.

        Call it while no transaction is open; the look itself is not waited for.  Raises CycleLost when an
        earlier look has found that new producers are needed.
        """
        if self._scan.is_spoilt:
            await self.drop()
            raise CycleLost(dependency="kafka", detail="transactions are to be settled by new producers")
        self._scan.go_on()

    async def send(self, outbox: Outbox, membership: Membership) -> list[AppendedBatch]:
        """Send records in the transaction that is open, or in a new one; return where they stand.

        Raises as `commit` does.
        """
        async with self._transaction(membership) as producer:
            self._check_settled(outbox)
            sent = await queued(producer, outbox)
            producer.announce_group(self._group_id)
            return await acknowledged(sent)

    async def commit(
        self, outbox: Outbox, sources: Mapping[TopicPartition, int], membership: Membership
    ) -> list[AppendedBatch]:
        """Send these records and the source positions, and commit with them what was sent before.

        Returns where the records stand.  Raises CycleLost when the transaction was refused, its producer is
        fenced, or its outcome is unknown (`start` again, then take over), and InvariantBroken when
        trying again cannot help: a membership that does not fence (nothing is sent), a record that no
        broker takes.

        A broker fences the producer of a transaction that took too long as it fences one in whose place
        another process has started.  The group tells which of the two it was, see `static_membership`.
        """
        async with self._transaction(membership) as producer:
            self._check_settled(outbox)
            appended = await self._send(producer, outbox, sources, membership)
            await producer.commit_transaction()
        self._open = None
        return appended

    async def give_up(self) -> None:
        """Abort the transaction that is open, if one is, and throw the producers away.

        After an abortable error aiokafka forgets what the transaction has touched: it would abort nothing,
        say that it had, and the producer's next commit would commit this transaction as well.  So it is
        asked to abort only while it is in the transaction.  In every case the next producers have another
        epoch, under which everything that has ended was committed: `hanging_transactions` relies on that.
        """
        producer, self._open = self._open, None
        if producer is None:
            return
        try:
            if producer._txn_manager.is_in_transaction():
                async with asyncio.timeout(GIVE_UP_S_MAX):
                    await producer.abort_transaction()
                log.info("a cycle is given up, and its transaction aborted")
        except (KafkaError, TimeoutError) as error:
            log.info("a transaction could not be aborted, and is left to the next producer: %r", error)
        await self.drop()

    @asynccontextmanager
    async def _transaction(self, membership: Membership) -> AsyncIterator[FencedProducer]:
        """Give the producer whose transaction is open, after beginning one if none is."""
        check_fences(membership)
        if self._open is None and self._scan.is_spoilt:
            await self.drop()
        if not self._producers:
            raise CycleLost(dependency="kafka", detail="there is no producer")
        producer, is_new = self._open or self._producers[0], self._open is None
        if is_new:
            self._producers.rotate()
            self._open, self._began_s = producer, time.monotonic()
        try:
            if is_new:
                await producer.begin_transaction()
            yield producer
        except MessageSizeTooLargeError as error:
            raise InvariantBroken("a record is larger than the broker takes (max.message.bytes)") from error
        except (KafkaError, IllegalOperation) as error:  # the latter after an error of its background task
            await self.drop()
            detail = missing_right(error) or repr(error.__cause__ or error)
            raise CycleLost(dependency="kafka", detail=detail) from error

    def _check_settled(self, outbox: Outbox) -> None:
        """Raise LeaderNotAvailableError, which loses the cycle: new producers settle the partition first.

        A record of a new epoch there could commit what was to be aborted.
        """
        for owed in self._owed:
            if owed and (places := owed.keys() & {TopicPartition(*tp) for tp in outbox}):
                raise LeaderNotAvailableError(f"{min(places)} had no leader when the producers started")

    @property
    def is_long_open(self) -> bool:
        """Whether the transaction has taken a good part of its time: no more should be put into it."""
        open_ms = (time.monotonic() - self._began_s) * 1000
        return self._open is not None and open_ms >= self._transaction_timeout_ms * LONG_PART

    async def _send(
        self,
        producer: FencedProducer,
        outbox: Outbox,
        sources: Mapping[TopicPartition, int],
        membership: Membership,
    ) -> list[AppendedBatch]:
        """Put records and positions into the transaction together; return where the records stand."""
        sent = await queued(producer, outbox)
        await producer.send_fenced_offsets(sources, self._group_id, membership, self.notes)
        return await acknowledged(sent)

    async def drop(self) -> None:
        """Throw the producers away; what they have left open is settled by the next `start`."""
        self._open = None
        await self._scan.stop()
        while self._producers:
            await discard(self._producers.popleft())

    def _new_producer(self, number: int) -> FencedProducer:
        producer = FencedProducer(
            **options(self._bootstrap),
            transactional_id=f"{self._transactional_id}-{number}",
            transaction_timeout_ms=self._transaction_timeout_ms,
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            max_batch_size=BATCH_BYTES_MAX,
            linger_ms=0,
            request_timeout_ms=min(REQUEST_TIMEOUT_MS, self._transaction_timeout_ms),
            retry_backoff_ms=RETRY_BACKOFF_MS,
        )
        self._clock.listen(producer)
        return producer
