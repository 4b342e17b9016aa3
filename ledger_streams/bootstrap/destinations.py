"""Destinations: the topics of the contract as agents and tables send to them."""

from __future__ import annotations

from ledger_streams import topics
from ledger_streams.engine.batches import PartitionedTopic
from ledger_streams.settings import settings


def destination(name: str) -> PartitionedTopic:
    """Return a topic to send to, by its name in the contract."""
    return PartitionedTopic(settings().topic(name), topics.spec(name).partitions)
