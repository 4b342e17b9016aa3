"""Redrive: its choice of dead letters, the records that go back, and the names of topics and places."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from ledger_streams import topics
from ledger_streams.cli.dlq import dlq
from ledger_streams.dlq.letters import WITH_DEAD_LETTERS, DeadLetter, LetterTopic, dead_letter
from ledger_streams.dlq.redrive import LetterSelection, select_letters
from ledger_streams.kafka.redrive import (
    RECORD_BYTES_MAX,
    Mark,
    is_too_large,
    place,
    restored_headers,
    restored_partition,
)

TOPIC = "payment-events.dlq"


def parked(partition: int, offset: int, *, reason: str = "invalid", **fields: Any) -> SimpleNamespace:
    headers = (("dlq.reason", reason.encode()), ("dlq.detail", b"no"), ("trace", b"t"))
    where = {"topic": TOPIC, "partition": partition, "offset": offset, "timestamp": 1_000 * offset}
    return SimpleNamespace(**{"key": b"k", "value": b"v", "headers": headers, **where, **fields})


GONE = {f"{TOPIC}:0:1": Mark("payment-events", 0, 99)}
LETTERS = [
    dead_letter(letter, GONE)
    for letter in (
        parked(0, 1),
        parked(1, 2, reason="duplicate_mismatch"),
        parked(1, 3),
        parked(0, 4, value=b"x" * RECORD_BYTES_MAX),
        parked(0, 5),
    )
]


def places(letters: list[DeadLetter]) -> list[tuple[int, int]]:
    return [(letter.partition, letter.offset) for letter in letters]


@pytest.mark.parametrize(
    ("options", "expected", "gone_before", "too_large"),
    [
        ({}, [(1, 2), (1, 3), (0, 5)], 1, 1),
        ({"limit": 2}, [(1, 2), (1, 3)], 1, 1),
        ({"reason": "duplicate_mismatch"}, [(1, 2)], 0, 0),
        ({"partition": 0}, [(0, 5)], 1, 1),
        ({"partition": 1, "offset": 3}, [(1, 3)], 0, 0),
        ({"partition": 0, "offset": 1}, [], 1, 0),
        ({"reason": "no such reason"}, [], 0, 0),
    ],
)
def test_selected_letters_go_back_except_redriven_and_unsendable_ones(
    options: dict[str, Any], expected: list[tuple[int, int]], gone_before: int, too_large: int
) -> None:
    result = select_letters(LETTERS, LetterSelection(topic="payment-events", **options), dry_run=False)
    assert places(result.letters) == expected
    assert (result.gone_before, result.too_large) == (gone_before, too_large)


def test_a_record_goes_back_with_its_own_headers_and_the_place_of_its_letter() -> None:
    letter = parked(3, 4)
    assert place(letter) == "payment-events.dlq:3:4"
    assert restored_headers(letter) == [("trace", b"t"), ("dlq.redriven", b"payment-events.dlq:3:4")]


def test_a_letter_parked_again_goes_back_from_its_last_place_only() -> None:
    letter = parked(3, 9, headers=(("dlq.redriven", b"payment-events.dlq:3:4"), ("dlq.reason", b"invalid")))
    assert restored_headers(letter) == [("dlq.redriven", b"payment-events.dlq:3:9")]
    assert dead_letter(letter).repeats == "payment-events.dlq:3:4"


def test_a_header_that_is_not_text_is_accepted() -> None:
    letter = parked(0, 1, headers=(("nothing", None), ("dlq.detail", None)))
    assert dead_letter(letter).detail == ""
    assert not is_too_large(letter)


def test_only_topics_that_anybody_may_write_to_can_be_redriven() -> None:
    assert set(WITH_DEAD_LETTERS) == {
        topics.PAYMENT_EVENTS,
        topics.SAGA_EVENTS,
        topics.WALLET_COMMANDS,
        topics.SAGA_COMMANDS,
        topics.PROVIDER_REQUESTS,
    }
    refused = CliRunner().invoke(dlq, ["redrive", topics.WALLET_EVENTS])
    assert refused.exit_code == 2
    assert "is not one of 'payment-events'" in refused.output


@pytest.mark.parametrize("named", ["payment-events", "payment-events.dlq"])
def test_a_topic_is_named_itself_or_by_its_dead_letters(named: str) -> None:
    assert LetterTopic().convert(named, None, None) == "payment-events"


def test_an_offset_without_a_partition_is_an_error_of_usage() -> None:
    refused = CliRunner().invoke(dlq, ["redrive", "payment-events", "--offset", "1"])
    assert refused.exit_code == 2
    assert "--offset needs --partition" in refused.output


def test_a_letter_goes_back_into_its_partition_and_a_misplaced_one_into_that_of_its_key() -> None:
    assert restored_partition(parked(5, 1)) == 5
    assert (
        restored_partition(parked(5, 1, reason="wrong_partition")) is None
    )  # the producer then asks the key
