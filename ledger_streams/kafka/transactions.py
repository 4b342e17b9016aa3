"""Transactions: one transaction per cycle, by two producers in turn.

Decisions are made before `commit` is called, so nothing slow happens while a transaction is open.  The broker
acknowledges a commit before it has written the markers, and the same producer may not begin a transaction
until then.  The other producer may.  After a transaction with an error or an unknown outcome both producers
are discarded.  The next producers start under the same transactional ids, which makes the broker settle
the open transactions in any state; hanging ones are completed as well (`hanging_transactions`).
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
"""Pause before a retry; a transaction right after another gets CONCURRENT_TRANSACTIONS."""

START_BACKOFF_MS_MAX = 5_000

GIVE_UP_S_MAX = 2.0

LONG_PART = 0.25
"""Share of the transaction time-out after which no more is sent, so that the commit still fits."""


class CycleLost(Unavailable):
    """The transaction was aborted or its outcome is unknown; the partitions have to be taken over again."""


PRODUCERS = 2
"""Markers of one producer are written during the transaction of the other."""


class Transactions:
    """The worker's transactional producers."""

    def __init__(  # noqa: PLR0913  # all of them configure producers
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
        """Full names of all topics that a transaction may write to."""
        self._clock = clock
        self._producers: deque[FencedProducer] = deque()
        """In the order of use."""
        self._owed: list[Owed] = [NOTHING_OWED] * PRODUCERS
        """For each producer the partitions that had no leader at its start and are not settled yet."""
        self._open: FencedProducer | None = None
        """The producer with an open transaction."""
        self._began_s = time.monotonic()
        self._scan = HangingTransactionScan(self._producers, topics, lambda: set().union(*self._owed))
        self.notes: dict[TopicPartition, str] = {}
        """Offset metadata that each commit writes beside a source offset, until it is changed."""

    async def start(self) -> None:
        """Start the producers if there are none, and settle the transactions of their predecessors."""
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
                log.warning("Transactional producers not started, retrying in %d ms: %s", backoff_ms, reason)
                await asyncio.sleep(backoff_ms / 1000)
                backoff_ms = min(backoff_ms * 2, START_BACKOFF_MS_MAX)

    async def scan_hanging_transactions(self) -> None:
        """Start a scan for hanging transactions, if one is due; do not wait for it.

        Call it while no transaction is open.  Raises CycleLost when an earlier scan has found that new
        producers are needed.
        """
        if self._scan.is_spoilt:
            await self.drop()
            raise CycleLost(dependency="kafka", detail="transactions are to be settled by new producers")
        self._scan.go_on()

    async def send(self, outbox: Outbox, membership: Membership) -> list[AppendedBatch]:
        """Send records in the open transaction, or in a new one; return their batches with offsets.

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
        """Send these records and the source offsets, and commit the transaction.

        Returns the record batches with their offsets.  Raises CycleLost when the transaction was refused, its
        producer is fenced, or its outcome is unknown: `start` again, then take over.  Raises InvariantBroken
        when a retry cannot help: the membership does not fence (nothing is sent), or a record is too large.

        A broker fences a producer after a transaction time-out as it does after the start of another
        process under the same id.  The group tells the two apart, see `static_membership`.
        """
        async with self._transaction(membership) as producer:
            self._check_settled(outbox)
            appended = await self._send(producer, outbox, sources, membership)
            await producer.commit_transaction()
        self._open = None
        return appended

    async def give_up(self) -> None:
        """Abort the open transaction, if there is one, and discard the producers.

        After an abortable error aiokafka drops its list of the transaction's partitions.  Its abort would
        then be empty and succeed, and the producer's next commit would commit this transaction as well.  So
        aiokafka is asked to abort only while it is in the transaction.  The next producers have another epoch
        in every case, so all ended transactions of a current epoch were committed; `hanging_transactions`
        relies on that.  Reproduction: tests/integration/test_engine_transactions.py.
        Remove when: aiokafka aborts the whole transaction after an abortable error.
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
            log.info("Abort of a transaction failed; the next producer ends it: %r", error)
        await self.drop()

    @asynccontextmanager
    async def _transaction(self, membership: Membership) -> AsyncIterator[FencedProducer]:
        """Yield the producer with the open transaction; begin one if there is none."""
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
        """Raise LeaderNotAvailableError, which ends the cycle, for a partition that is not settled yet.

        A record of a new epoch there could commit a transaction that was aborted.
        """
        for owed in self._owed:
            if owed and (places := owed.keys() & {TopicPartition(*tp) for tp in outbox}):
                raise LeaderNotAvailableError(f"{min(places)} had no leader when the producers started")

    @property
    def is_long_open(self) -> bool:
        """Whether the transaction has used LONG_PART of its time-out: it should be committed now."""
        open_ms = (time.monotonic() - self._began_s) * 1000
        return self._open is not None and open_ms >= self._transaction_timeout_ms * LONG_PART

    async def _send(
        self,
        producer: FencedProducer,
        outbox: Outbox,
        sources: Mapping[TopicPartition, int],
        membership: Membership,
    ) -> list[AppendedBatch]:
        """Send records and source offsets together; return the record batches with their offsets."""
        sent = await queued(producer, outbox)
        await producer.send_fenced_offsets(sources, self._group_id, membership, self.notes)
        return await acknowledged(sent)

    async def drop(self) -> None:
        """Discard the producers; the next `start` settles their open transactions."""
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
