from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ledger_streams.kafka.assignor import EvenAssignor

TOPICS = {"payment-events": 12, "saga-events": 6, "wallet-commands": 8}
TOGETHER = {"saga-commands": 6, "saga-events": 6}
"""They feed one table, so a partition of one goes with that of the other."""


@dataclass
class Cluster:
    """The part of aiokafka's metadata that the assignor reads."""

    topics: dict[str, int] = field(default_factory=lambda: TOPICS | TOGETHER)

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self.topics[topic])) if topic in self.topics else None


def assigned(*members: str, topics: Iterable[str] = TOPICS) -> dict[str, dict[str, list[int]]]:
    metadata = {member: EvenAssignor.metadata(topics) for member in members}
    given = EvenAssignor.assign(Cluster(), metadata)
    return {member: dict(assignment.assignment) for member, assignment in given.items()}


def test_every_partition_goes_to_exactly_one_worker() -> None:
    for count in (1, 2, 3, 5, 30):
        given = assigned(*(f"app-{number:02}-uuid" for number in range(count)))
        for topic, partitions in TOPICS.items():
            owned = [partition for topics in given.values() for partition in topics.get(topic, [])]
            assert sorted(owned) == list(range(partitions))


def test_each_topic_is_spread_evenly_and_so_is_the_sum() -> None:
    for count in (2, 3, 5):
        given = assigned(*(f"app-{number}-uuid" for number in range(count))).values()
        for topic in TOPICS:
            shares = [len(topics.get(topic, [])) for topics in given]
            assert max(shares) - min(shares) <= 1
        sums = [sum(map(len, topics.values())) for topics in given]
        assert max(sums) - min(sums) <= 1


def test_topics_that_feed_one_table_go_to_one_worker_partition_by_partition() -> None:
    for count in (1, 2, 3, 4, 5, 7, 30):
        given = assigned(*(f"app-{number:02}-uuid" for number in range(count)), topics=TOPICS | TOGETHER)
        for topics in given.values():
            assert topics.get("saga-commands") == topics.get("saga-events")
        owned = [partition for topics in given.values() for partition in topics.get("saga-events", [])]
        assert sorted(owned) == list(range(6))


def test_a_worker_that_returns_with_its_id_gets_its_earlier_partitions() -> None:
    before = assigned("app-1-aaaa", "app-2-bbbb", "app-3-cccc")
    after = assigned("app-3-dddd", "app-2-eeee", "app-1-ffff")
    assert [before[m] for m in sorted(before)] == [after[m] for m in sorted(after)]


def test_a_topic_goes_only_to_its_subscribers() -> None:
    members = {"a": EvenAssignor.metadata(["saga-events"]), "b": EvenAssignor.metadata(TOPICS)}
    given = {m: dict(x.assignment) for m, x in EvenAssignor.assign(Cluster(), members).items()}
    assert set(given["a"]) == {"saga-events"}
    assert given["b"]["payment-events"] == list(range(12))


def test_topics_of_one_partition_count_move_together_since_they_may_feed_one_table() -> None:
    topics = TOPICS | {"saga-commands": 6, "another-of-eight": 8}
    for count in (1, 2, 3, 4, 5, 7):
        members = {f"app-{number}-uuid": EvenAssignor.metadata(topics) for number in range(count)}
        for assignment in EvenAssignor.assign(Cluster(topics), members).values():
            given = dict(assignment.assignment)
            assert given.get("saga-commands") == given.get("saga-events")
            assert given.get("another-of-eight") == given.get("wallet-commands")
