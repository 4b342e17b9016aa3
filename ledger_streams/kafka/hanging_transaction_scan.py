"""Scan for hanging transactions while the worker runs: see `hanging_transactions`.

A broker may restart while its workers stay up, and does not tell them.  The scan therefore checks each
producer every EVERY_S.  A check takes a broker with many partitions a tenth of a second and more.  During it
the other producer makes all transactions, and each waits for its own markers.  The checked producer is
idle, so a transaction that it has open in a partition is not a current one.  If another process has started
under the same id, the coordinator answers with that process's epoch, and the scan does nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from typing import Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from ledger_streams.kafka.fenced_offsets import FencedProducer
from ledger_streams.kafka.hanging_transactions import (
    Committed,
    MarkersDenied,
    MarkersUnanswered,
    complete_hanging_transactions,
    has_leader,
    last_committed,
)
from ledger_streams.kafka.missing_rights import go_without
from ledger_streams.kafka.transaction_settlement import commit_own
from ledger_streams.process_exit import exit_now

log = logging.getLogger(__name__)

EVERY_S: Final = 10.0
"""Time for which a partition may be blocked after a broker's restart, if nothing is written to it."""


class HangingTransactionScan:
    """Checks the producers for hanging transactions, one at a time."""

    def __init__(
        self,
        producers: deque[FencedProducer],
        topics: Collection[str],
        owed: Callable[[], Collection[TopicPartition]],
    ) -> None:
        self._producers = producers
        """The producers in use; without the one that is being checked."""
        self._topics = topics
        self._owed = owed
        """Returns the partitions that had no leader at the producers' start and are not settled yet."""
        self._looked_s = time.monotonic()
        self._next: list[FencedProducer] = []
        self._looking: asyncio.Task[None] | None = None
        self.is_spoilt = False
        """Whether all producers have to be replaced by new ones."""

    def go_on(self) -> None:
        """Start the check of the next producer, if it is due; call it while no transaction is open."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= EVERY_S:
            self._looked_s, self._next = now_s, list(self._producers)
        if self._looking is None and self._next and len(self._producers) > 1:
            producer = self._next.pop()
            self._producers.remove(producer)
            self._looking = asyncio.create_task(self._look_at(producer))
            self._looking.add_done_callback(partial(self._put_back, producer))

    async def stop(self) -> None:
        """Cancel the running check and the pending ones; the caller discards all producers next."""
        self._next.clear()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        self.is_spoilt = False

    async def _look_at(self, producer: FencedProducer) -> None:
        try:
            if await self._can_settle_more(producer):
                self.is_spoilt = True  # those that start next settle it
                return
            manager = producer._txn_manager
            committed = await last_committed(producer.client, manager.transactional_id)
            own = Committed(manager.producer_id, range(manager.producer_epoch, manager.producer_epoch + 1))
            if committed == own:
                await self._commit(producer, own)
        except MarkersUnanswered as error:
            log.warning(
                "Outcome of hanging transaction unknown (WriteTxnMarkers); recreating producers: %r",
                error,
            )
            self.is_spoilt = True
        except KafkaError as error:
            log.info("Scan for hanging transactions failed, next one in %.0f s: %r", EVERY_S, error)
        except Exception as error:  # noqa: BLE001  # a bug: the process ends
            exit_now("scan for hanging transactions failed", error)

    async def _can_settle_more(self, producer: FencedProducer) -> bool:
        owed = self._owed()
        if not owed:
            return False
        cluster = await producer.client.fetch_all_metadata()
        return any(has_leader(cluster, place) for place in owed)

    async def _commit(self, producer: FencedProducer, own: Committed) -> None:
        """Write the missing markers; without the right to, commit by an empty transaction of the producer."""
        try:
            await complete_hanging_transactions(producer.client, own, self._topics)
        except MarkersDenied as error:
            go_without("WriteTxnMarkers", error, "the producer itself commits its hanging transactions")
            try:
                await commit_own(producer, self._topics, own)
            except KafkaError as failed:
                log.warning("Hanging transaction not committed; recreating producers: %r", failed)
                self.is_spoilt = True

    def _put_back(self, producer: FencedProducer, _looked: asyncio.Task[None]) -> None:
        self._looking = None
        self._producers.appendleft(producer)  # the markers of the other one may still be in flight
