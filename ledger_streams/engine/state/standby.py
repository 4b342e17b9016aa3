"""Standby: tables of partitions that other workers own, kept near the end of their changelogs.

A takeover then begins where the standby has come to, in a store that is open already.  A
store is either followed here or owned by the committer, never both: they change hands in
a takeover, while nobody follows.  Only committed records are applied, with the position
behind them, so a standby may be killed at any moment like an owner.
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
from ledger_streams.engine.state.restore import Stores, changelog_reader, restore, seek_stores
from ledger_streams.engine.state.store import PartitionStore, TableSpec
from ledger_streams.engine.state.takeover_progress import Place
from ledger_streams.errors import InvariantBroken
from ledger_streams.kafka.client_options import Bootstrap
from ledger_streams.kafka.log_reader import client_of, log_reader
from ledger_streams.metrics import STANDBY_LEFT_RECORDS, STANDBY_RECORDS

log = logging.getLogger(__name__)

POLL_S: Final = 0.5
"""Between two looks at the changelogs: what a takeover has to read is what came since the last."""
RECORDS_MAX: Final = 1_000
"""Records of one look, some 10 ms of work: the cycles of the partitions owned go on in between."""
REST_RATIO: Final = 4.0
"""A standby far behind rests four times as long as it works, so it takes a fifth of a core at most."""
FETCH_WAIT_MS: Final = 500
FETCH_BYTES_MAX: Final = 4 << 20
"""A quarter of what a takeover fetches: these buffers stay."""
RETRY_S: Final = 5.0


class Standby:
    """Follows the changelogs of whatever its process does not own."""

    cancel_again_s = 5.0
    """More than two consumers take to stop."""

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
        """Follow all partitions but these, in the background, until told to stand back."""
        assert self._following is None, "it follows already"
        places = frozenset(owned)
        self._following = background.start(
            "standby", lambda: self._follow_forever(places), on_failure=self._show_nothing
        )

    async def stand_back(self) -> None:
        """Stop following; the stores stay open, to be taken or followed again."""
        following, self._following = self._following, None
        if following is not None:
            while not following.done():  # what fails while it stops takes the cancellation's place
                following.cancel()
                await asyncio.wait({following}, timeout=self.cancel_again_s)

    def take(self, place: Place) -> PartitionStore | None:
        """Give away the store of a partition that is owned from now on, if it is open here."""
        assert self._following is None, "a store has one writer"
        return self._stores.pop(place, None)

    def give(self, store: PartitionStore) -> None:
        """Take on the store of a partition that is not owned any more."""
        assert self._following is None, "a store has one writer"
        self._stores[store.place] = store

    async def close(self) -> None:
        """Stop following and close all stores."""
        await self.stand_back()
        while self._stores:
            self._stores.popitem()[1].close()

    async def _follow_forever(self, owned: frozenset[Place]) -> None:
        """Follow, and begin anew when Kafka was away; what cannot be followed is left to a takeover."""
        while True:
            try:
                await self._follow(owned)
            except KafkaError as error:
                log.warning("the standby begins anew in %.0f s: %r", RETRY_S, error)
                await asyncio.sleep(RETRY_S)
            except InvariantBroken:  # it must not end a worker whose own partitions are well
                log.exception("the standby ends: a takeover of its tables would end the worker")
                STANDBY_LEFT_RECORDS.clear()
                return
            else:
                return  # all is owned

    def _show_nothing(self, _failure: Exception) -> None:
        """How far behind it is, is not known until it follows again."""
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
                rest_s = await _look(changelogs, stores)
                await asyncio.sleep(rest_s)
        finally:
            await close_within("the standby's reader", changelogs.stop())
            await close_within("the standby's reader of ends", log_ends.stop())

    async def _open(self, log_ends: AIOKafkaConsumer, owned: frozenset[Place]) -> Stores:
        """Open what is not open yet, one after the other: cycles go on in between."""
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


async def _look(changelogs: AIOKafkaConsumer, stores: Stores) -> float:
    """Apply what has come, some of it if it is much, and return how long to rest."""
    began_s = time.monotonic()
    polled = await changelogs.getmany(timeout_ms=0, max_records=RECORDS_MAX)
    left: Counter[str] = Counter()
    for tp, store in stores.items():
        records, changelog_next = polled.get(tp, ()), await changelogs.position(tp)
        if records or changelog_next > store.position.changelog_next:
            restore(store, records, changelog_next)
        left[store.spec.name] += max(0, (changelogs.highwater(tp) or 0) - changelog_next)
        STANDBY_RECORDS.labels(store.spec.name).inc(len(records))
    for table, offsets in left.items():
        STANDBY_LEFT_RECORDS.labels(table).set(offsets)
    is_behind = sum(map(len, polled.values())) >= RECORDS_MAX
    return REST_RATIO * (time.monotonic() - began_s) if is_behind else POLL_S
