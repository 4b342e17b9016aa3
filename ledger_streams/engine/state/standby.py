"""Standby: stores of partitions that other workers own, kept near the end of their changelogs.

A takeover then restores from the standby's position, in a store that is already open.  A store belongs
either to the standby or to the committer, never to both; it changes hands during a takeover, while the
standby is paused.  Only committed records are applied, with the position behind them, so a standby may be
killed at any moment, like an owner.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from ledger_streams import background
from ledger_streams.bounded_close import close_within
from ledger_streams.engine.state.restore import Stores, apply_records, changelog_reader, seek_stores
from ledger_streams.engine.state.store import PartitionStore, TableSpec
from ledger_streams.engine.state.takeover_progress import Place
from ledger_streams.errors import InvariantBroken
from ledger_streams.kafka.client_options import Bootstrap
from ledger_streams.kafka.log_reader import client_of, log_reader
from ledger_streams.metrics import STANDBY_LEFT_RECORDS, STANDBY_RECORDS

log = logging.getLogger(__name__)

POLL_S: Final = 0.5
"""Pause between two polls of the changelogs; a takeover has to read the records since the last poll."""
RECORDS_MAX: Final = 1_000
"""Records of one poll, some 10 ms of work; cycles of owned partitions run in between."""
REST_RATIO: Final = 4.0
"""A standby far behind pauses four times as long as it works, so it takes a fifth of a core at most."""
FETCH_WAIT_MS: Final = 500
FETCH_BYTES_MAX: Final = 4 << 20
"""A quarter of a takeover's, because a standby holds its buffers all the time."""
RETRY_S: Final = 5.0


class Standby:
    """Follows the changelogs of the partitions that its process does not own."""

    cancel_again_s = 5.0
    """Longer than two consumers take to stop."""

    def __init__(
        self,
        *,
        bootstrap: Bootstrap,
        group_id: str,
        tables_dir: Path,
        specs: Collection[TableSpec[Any]],
        changelog_topics: Mapping[str, str],
    ) -> None:
        self._bootstrap = bootstrap
        self._group_id = group_id
        self._tables_dir = tables_dir
        self._specs = {changelog_topics[spec.name]: spec for spec in specs}
        """By the full name of the changelog topic."""
        self._stores: dict[Place, PartitionStore] = {}
        self._following: asyncio.Task[None] | None = None

    def follow(self, owned: Collection[Place]) -> None:
        """Follow all partitions except `owned` in the background, until `pause`."""
        assert self._following is None, "the standby follows already"
        places = frozenset(owned)
        self._following = background.start(
            "standby", lambda: self._follow_forever(places), on_failure=self._clear_metrics
        )

    async def pause(self) -> None:
        """Stop following; the stores stay open."""
        following, self._following = self._following, None
        if following is not None:
            while not following.done():  # an error while stopping replaces the cancellation
                following.cancel()
                await asyncio.wait({following}, timeout=self.cancel_again_s)

    def release(self, place: Place) -> PartitionStore | None:
        """Hand over the store of a partition that this process owns from now on; None if it is not open."""
        assert self._following is None, "a store has one writer"
        return self._stores.pop(place, None)

    def adopt(self, store: PartitionStore) -> None:
        """Take in the store of a partition that this process no longer owns."""
        assert self._following is None, "a store has one writer"
        self._stores[store.place] = store

    async def close(self) -> None:
        """Stop following and close all stores."""
        await self.pause()
        while self._stores:
            self._stores.popitem()[1].close()

    async def _follow_forever(self, owned: frozenset[Place]) -> None:
        """Follow; start again after an error of Kafka, stop on a broken invariant."""
        while True:
            try:
                await self._follow(owned)
            except KafkaError as error:
                log.warning("standby failed, starting again in %.0f s: %r", RETRY_S, error)
                await asyncio.sleep(RETRY_S)
            except InvariantBroken:  # The worker's own partitions are sound, so it goes on.
                log.exception("standby stopped; a takeover of these tables by this worker would end it")
                STANDBY_LEFT_RECORDS.clear()
                return
            else:
                return  # this process owns all partitions

    def _clear_metrics(self, _failure: Exception) -> None:
        """Clear the lag metrics: the lag is unknown until the standby follows again."""
        STANDBY_LEFT_RECORDS.clear()

    async def _follow(self, owned: frozenset[Place]) -> None:
        changelogs = changelog_reader(
            self._bootstrap, fetch_wait_ms=FETCH_WAIT_MS, fetch_bytes_max=FETCH_BYTES_MAX
        )
        log_ends = log_reader(self._bootstrap)
        try:
            await changelogs.start()
            await log_ends.start()
            stores = await self._open(log_ends, owned)
            if not stores:
                return
            await seek_stores(changelogs, log_ends, stores, group_id=self._group_id)
            await close_within("the standby's reader of ends", log_ends.stop())
            log.info("standing by for %d table partitions", len(stores))
            while True:
                rest_s = await _poll(changelogs, stores)
                await asyncio.sleep(rest_s)
        finally:
            await close_within("the standby's reader", changelogs.stop())
            await close_within("the standby's reader of ends", log_ends.stop())

    async def _open(self, log_ends: AIOKafkaConsumer, owned: frozenset[Place]) -> Stores:
        """Open the missing stores one by one; cycles run in between."""
        cluster = await client_of(log_ends).fetch_all_metadata()
        stores: dict[TopicPartition, PartitionStore] = {}
        for topic, spec in self._specs.items():
            for number in sorted(cluster.partitions_for_topic(topic) or ()):
                place = spec.name, number
                if place in owned:
                    continue
                if place not in self._stores:
                    self._stores[place] = PartitionStore(self._tables_dir, spec, number)
                    await asyncio.sleep(0)
                stores[TopicPartition(topic, number)] = self._stores[place]
        return stores


async def _poll(changelogs: AIOKafkaConsumer, stores: Stores) -> float:
    """Apply at most RECORDS_MAX new records and return the pause before the next poll, in seconds."""
    began_s = time.monotonic()
    polled = await changelogs.getmany(timeout_ms=0, max_records=RECORDS_MAX)
    left: Counter[str] = Counter()
    for tp, store in stores.items():
        records, changelog_next = polled.get(tp, ()), await changelogs.position(tp)
        if records or changelog_next > store.position.changelog_next:
            apply_records(store, records, changelog_next)
        left[store.spec.name] += max(0, (changelogs.highwater(tp) or 0) - changelog_next)
        STANDBY_RECORDS.labels(store.spec.name).inc(len(records))
    for table, offsets in left.items():
        STANDBY_LEFT_RECORDS.labels(table).set(offsets)
    is_behind = sum(map(len, polled.values())) >= RECORDS_MAX
    return REST_RATIO * (time.monotonic() - began_s) if is_behind else POLL_S
