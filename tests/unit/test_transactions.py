"""Errors of a worker's transactions that need no request to a broker."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import LeaderNotAvailableError
from faust.types import TP

from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.transactions import Transactions


def test_a_partition_that_had_no_leader_at_the_start_is_not_written_to_before_it_is_settled() -> None:
    """A commit there could commit what was to be aborted; the next start settles it."""
    transactions = Transactions(
        bootstrap="127.0.0.1:1",
        transactional_id="t",
        group_id="g",
        transaction_timeout_ms=1_000,
        topics=["out"],
        clock=BrokerClock(),
    )
    transactions._owed = [{TopicPartition("out", 1): None}]
    transactions._check_settled({TP("out", 0): []})
    with pytest.raises(LeaderNotAvailableError, match=r"partition=1.* had no leader"):
        transactions._check_settled({TP("out", 0): [], TP("out", 1): []})
