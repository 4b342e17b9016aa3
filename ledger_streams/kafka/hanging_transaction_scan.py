"""Looking back: what a worker that lives has committed, and a broker has forgotten to tell its partitions.

A broker may come back while its workers live on, and none of them is told.  So each producer is looked at
now and then, which takes a broker with many partitions a tenth of a second and more.  Meanwhile another one
makes all transactions, a little slower since each waits for its own markers, and what is found open
cannot be a transaction of now.  Where another process has started under the same id meanwhile, what the
coordinator tells is of that one's epoch, and nothing is done.
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
from ledger_streams.process_exit import end_process

log = logging.getLogger(__name__)

EVERY_S: Final = 10.0
"""So long a partition may stand still after a broker has come back, if nobody writes to it meanwhile."""


class HangingTransactionScan:
    """Looks at producers, one at a time."""

    def __init__(
        self,
        producers: deque[FencedProducer],
        topics: Collection[str],
        owed: Callable[[], Collection[TopicPartition]],
    ) -> None:
        self._producers = producers
        """Those in use; the one that is looked at is none of them until then."""
        self._topics = topics
        self._owed = owed
        """Says which partitions had no leader when the producers started, and are still to be settled."""
        self._looked_s = time.monotonic()
        self._next: list[FencedProducer] = []
        self._looking: asyncio.Task[None] | None = None
        self.is_spoilt = False
        """Whether all producers have to be thrown away, and new ones started."""

    def go_on(self) -> None:
        """Begin with the next producer, if it is time; call it while no transaction is open."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= EVERY_S:
            self._looked_s, self._next = now_s, list(self._producers)
        if self._looking is None and self._next and len(self._producers) > 1:
            producer = self._next.pop()
            self._producers.remove(producer)
            self._looking = asyncio.create_task(self._look_at(producer))
            self._looking.add_done_callback(partial(self._put_back, producer))

    async def stop(self) -> None:
        """Put back the producer that is out, and look at no other; all are thrown away next."""
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
            log.warning("a forgotten transaction is committed or not, new producers are started: %r", error)
            self.is_spoilt = True
        except KafkaError as error:
            log.info("what a broker may have forgotten is looked for later: %r", error)
        except Exception as error:  # noqa: BLE001  # nobody foresaw it
            end_process("what a broker may have forgotten could not be looked for", error)

    async def _can_settle_more(self, producer: FencedProducer) -> bool:
        owed = self._owed()
        if not owed:
            return False
        cluster = await producer.client.fetch_all_metadata()
        return any(has_leader(cluster, place) for place in owed)

    async def _commit(self, producer: FencedProducer, own: Committed) -> None:
        """Commit what the producer's last transaction has left open; without the right to, by its next."""
        try:
            await complete_hanging_transactions(producer.client, own, self._topics)
        except MarkersDenied as error:
            go_without("WriteTxnMarkers", error, "the producer itself commits what a broker has forgotten")
            try:
                await commit_own(producer, self._topics, own)
            except KafkaError as failed:
                log.warning("A hanging transaction was not committed; new producers are started: %r", failed)
                self.is_spoilt = True

    def _put_back(self, producer: FencedProducer, _looked: asyncio.Task[None]) -> None:
        self._looking = None
        self._producers.appendleft(producer)  # the other one's markers may be under way
