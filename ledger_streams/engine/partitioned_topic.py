"""partitioned_topic: a topic of the contract as agents and tables send to it."""

from __future__ import annotations

from ledger_streams import topics
from ledger_streams.engine.batches import PartitionedTopic
from ledger_streams.settings import Settings


def partitioned_topic(settings: Settings, name: str) -> PartitionedTopic:
    """Return the topic with this name in the contract, under its full name and with its partitions."""
    return PartitionedTopic(settings.topic(name), topics.spec(name).partitions)
