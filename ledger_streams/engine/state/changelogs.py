"""Changelogs: where a table's changes go, and the positions that go with them.

Compaction keeps the last record of a changelog, and may keep no other one, so each of them says how far
all sources of its table have been carried out with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from faust.types import TP

from ledger_streams.engine.state.restore import source_header
from ledger_streams.engine.state.store import PartitionStore
from ledger_streams.kafka.records import Headers, Outbox


class Changelogs:
    """The changelogs of a worker's tables."""

    def __init__(self, topics: Mapping[str, str], sources: Mapping[str, Sequence[str]]) -> None:
        self._topics = topics
        """Full name of each table's changelog."""
        self._sources = sources
        """Full names of the topics that feed each table, the first one first."""

    def of(self, store: PartitionStore) -> TP:
        """Return the partition that a store's changes go to."""
        return TP(self._topics[store.spec.name], store.partition)

    def announce(self, outbox: Outbox, stores: Mapping[TP, PartitionStore]) -> None:
        """Add the changelogs that records for these stores' sources will have something for."""
        for tp in stores.keys() & outbox:
            outbox.setdefault(self.of(stores[tp]), [])

    def add_positions(
        self, outbox: Outbox, stores: Iterable[PartitionStore], positions: Mapping[TP, int]
    ) -> None:
        """Add to the records of the stores' changelogs where they leave all sources of their table."""
        for store in stores:
            changelog = self.of(store)
            if changelog in outbox:
                headers = self._headers(store, positions)
                outbox[changelog] = [(key, value, (*own, *headers)) for key, value, own in outbox[changelog]]

    def _headers(self, store: PartitionStore, positions: Mapping[TP, int]) -> Headers:
        return tuple(
            (source_header(topic if number else None), b"%d" % positions[TP(topic, store.partition)])
            for number, topic in enumerate(self._sources[store.spec.name])
        )
