"""Assignor: every topic's partitions spread evenly over the workers.

Topics cost differently, so an even number of partitions in sum is not an even load:
each topic is spread by itself.  The order of the workers is that of their stable ids,
so the same workers always get the same partitions, whose tables they have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata


class EvenAssignor(AbstractPartitionAssignor):
    """Kafka's group protocol `even`, version 0; member ids begin with the group.instance.id."""

    name = "even"
    version = 0

    @classmethod
    def assign(cls, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """Return each member's partitions; a topic goes only to members that are subscribed to it."""
        given: dict[str, dict[str, list[int]]] = {member: {} for member in members}
        first, first_of_count = 0, dict[int, int]()
        for topic in sorted({topic for member in members.values() for topic in member.subscription}):
            takers = sorted(member for member in members if topic in members[member].subscription)
            partitions = sorted(cluster.partitions_for_topic(topic) or ())
            # topics of one partition count go together: two of them may feed one table
            start = first_of_count.setdefault(len(partitions), first)
            for place, partition in enumerate(partitions, start=start):
                given[takers[place % len(takers)]].setdefault(topic, []).append(partition)
            first += len(partitions)  # the next topic begins with the member whose turn it is
        return {
            member: ConsumerProtocolMemberAssignment(cls.version, sorted(topics.items()), b"")
            for member, topics in given.items()
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> Any:
        """Return the metadata that a member sends to the group's leader."""
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), b"")

    @classmethod
    def on_assignment(cls, assignment: Any) -> None:
        """Ignore the assignment: the next one depends on the members only."""
