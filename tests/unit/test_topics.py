"""The declaration of the topics keeps the contract."""

from __future__ import annotations

import pytest

from ledger_streams import topics
from ledger_streams.settings import Settings

CONTRACT = {
    topics.PAYMENT_EVENTS: (12, "delete", 7, None),
    topics.SAGA_EVENTS: (6, "delete", 14, None),
    topics.WALLET_EVENTS: (8, "compact", 30, 30),
    topics.WALLET_COMMANDS: (8, "delete", 7, None),
}
READ_BY_AGENTS = [
    topics.PAYMENT_EVENTS,
    topics.SAGA_EVENTS,
    topics.WALLET_COMMANDS,
    topics.SAGA_COMMANDS,
    topics.PROVIDER_REQUESTS,
]


@pytest.mark.parametrize("name", CONTRACT)
def test_the_topics_are_declared_as_in_the_contract(name: str) -> None:
    partitions, cleanup, retention_days, lag_days = CONTRACT[name]
    spec = topics.spec(name)
    assert (spec.partitions, spec.cleanup) == (partitions, cleanup)
    assert spec.retention_ms == retention_days * topics.DAY_MS
    assert spec.min_compaction_lag_ms == (lag_days * topics.DAY_MS if lag_days else None)


@pytest.mark.parametrize("name", READ_BY_AGENTS)
def test_a_dead_letter_topic_has_the_partitions_of_its_topic_and_is_kept_for_30_days(name: str) -> None:
    parked = topics.spec(topics.dead_letters(name))
    assert parked.partitions == topics.spec(name).partitions
    assert (parked.cleanup, parked.retention_ms) == ("delete", 30 * topics.DAY_MS)


@pytest.mark.parametrize(
    ("changelog", "source"),
    [
        (topics.PAYMENTS_CHANGELOG, topics.PAYMENT_EVENTS),
        (topics.SAGAS_CHANGELOG, topics.SAGA_EVENTS),
        (topics.SAGAS_CHANGELOG, topics.SAGA_COMMANDS),
    ],
)
def test_a_changelog_is_compacted_and_partitioned_as_its_source(changelog: str, source: str) -> None:
    assert topics.spec(changelog).cleanup == "compact"
    assert topics.spec(changelog).min_compaction_lag_ms is None
    assert topics.spec(changelog).partitions == topics.spec(source).partitions


@pytest.mark.parametrize("name", [topics.SAGA_COMMANDS, topics.PROVIDER_REQUESTS])
def test_topics_that_a_saga_reads_are_kept_as_long_as_its_events(name: str) -> None:
    assert topics.spec(name).cleanup == "delete"
    assert topics.spec(name).retention_ms == topics.spec(topics.SAGA_EVENTS).retention_ms


def test_every_topic_has_the_brokers_time_and_the_settings_in_sync_replicas() -> None:
    for spec in topics.TOPICS:
        configs = spec.configs(Settings(min_insync_replicas=2))
        assert configs["message.timestamp.type"] == "LogAppendTime"
        assert configs["min.insync.replicas"] == "2"


def test_no_topic_is_declared_twice() -> None:
    assert len({spec.name for spec in topics.TOPICS}) == len(topics.TOPICS)


def test_an_undeclared_topic_is_an_error() -> None:
    with pytest.raises(KeyError):
        topics.spec("payment-event")


def test_the_prefix_comes_before_the_name() -> None:
    assert Settings(topic_prefix="blue-").topic(topics.SAGA_EVENTS) == "blue-saga-events"
