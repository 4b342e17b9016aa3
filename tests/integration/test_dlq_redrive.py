"""Redrives on a real Kafka: every letter goes back once, also after kills and in simultaneous redrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from ledger_streams import topics
from ledger_streams.cli.dlq import dead_letters
from ledger_streams.dlq.redrive import LetterSelection, RedriveResult, preview_redrive, redrive_letters
from ledger_streams.errors import Unavailable
from ledger_streams.kafka.log_reader import opened_log
from ledger_streams.kafka.redrive import RECORD_BYTES_MAX, Mark, Redrive
from ledger_streams.settings import Settings
from tests.live import LiveSystem

PAYMENTS = LetterSelection(topic=topics.PAYMENT_EVENTS)
LETTERS = topics.dead_letters(topics.PAYMENT_EVENTS)
pytestmark = pytest.mark.topics(topics.PAYMENT_EVENTS, LETTERS, topics.REDRIVES)


async def park(settings: Settings, count: int, *, reason: str = "invalid", value: bytes = b"{}") -> None:
    """Put letters into partitions 0, 1, 2, 0, ... of the dead letters of payment-events."""
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka, max_request_size=2 << 20) as producer:
        headers = [("trace", b"t"), ("dlq.topic", b"payment-events"), ("dlq.reason", reason.encode())]
        name, sent = settings.topic(LETTERS), []
        for number in range(count):
            key = b"%s-%d" % (reason.encode(), number)
            sent.append(
                await producer.send(name, value, key=key, partition=number % 3, headers=list(headers))
            )
        await asyncio.gather(*sent)


async def committed(settings: Settings, topic: str) -> list[Any]:
    """Return the committed records of a topic, in order of partition."""
    found: list[Any] = []
    async with opened_log(settings.kafka) as log:
        async for _, records in log.read(await log.ends([settings.topic(topic)])):
            found += records
    return sorted(found, key=lambda record: (record.partition, record.offset))


async def check_each_went_back_once(settings: Settings) -> None:
    """Compare all letters with what is on payment-events: as they were, in order, once."""
    letters = await committed(settings, LETTERS)
    back = await committed(settings, topics.PAYMENT_EVENTS)
    places = [f"{letter.topic}:{letter.partition}:{letter.offset}" for letter in letters]
    went = {dict(record.headers)["dlq.redriven"].decode(): record for record in back}
    assert sorted(went) == sorted(places)
    assert len(back) == len(letters)
    for letter, place in zip(letters, places, strict=True):
        record = went[place]
        assert (record.key, record.value, record.partition) == (letter.key, letter.value, letter.partition)
        assert record.headers == (("trace", b"t"), ("dlq.redriven", place.encode()))


async def test_letters_go_back_unchanged_and_a_second_redrive_sends_nothing(
    topics_only: Settings,
) -> None:
    await park(topics_only, 500)
    first = await redrive_letters(topics_only, PAYMENTS)
    assert (len(first.letters), first.gone_before) == (500, 0)
    second = await redrive_letters(topics_only, PAYMENTS)
    assert (second.letters, second.gone_before) == ([], 500)
    await check_each_went_back_once(topics_only)
    where = {
        letter.place: letter.redriven_to for letter in await dead_letters(topics_only, ["payment-events"])
    }
    assert where == {
        dict(record.headers)["dlq.redriven"].decode(): f"{record.topic}:{record.partition}:{record.offset}"
        for record in await committed(topics_only, topics.PAYMENT_EVENTS)
    }


async def test_a_redrive_sends_the_selected_letters_and_a_dry_run_none(topics_only: Settings) -> None:
    await park(topics_only, 6)
    await park(topics_only, 3, reason="duplicate_mismatch")
    mismatched = LetterSelection(topic=topics.PAYMENT_EVENTS, reason="duplicate_mismatch", limit=2)
    would = await preview_redrive(topics_only, mismatched)
    assert await committed(topics_only, topics.PAYMENT_EVENTS) == []
    did = await redrive_letters(topics_only, mismatched)
    assert len(did.letters) == len(would.letters) == 2  # of three partitions, those that are read first
    one = LetterSelection(topic=topics.PAYMENT_EVENTS, partition=2, offset=1)
    assert len((await redrive_letters(topics_only, one)).letters) == 1
    keys = [record.key for record in await committed(topics_only, topics.PAYMENT_EVENTS)]
    assert sorted(key.rpartition(b"-")[0] for key in keys) == [b"duplicate_mismatch"] * 2 + [b"invalid"]
    assert b"invalid-5" in keys
    await redrive_letters(topics_only, PAYMENTS)
    await check_each_went_back_once(topics_only)


@asynccontextmanager
async def killed_in_the_middle(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A redrive that has sent its first letter and the mark, and has not committed."""
    letter = (await committed(settings, LETTERS))[0]
    place = f"{letter.topic}:{letter.partition}:{letter.offset}".encode()
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka, transactional_id=f"{settings.app_id}-redrive"
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        name, headers = settings.topic(topics.PAYMENT_EVENTS), [("trace", b"t"), ("dlq.redriven", place)]
        sent = await producer.send_and_wait(name, letter.value, letter.key, letter.partition, headers=headers)
        mark = msgspec.json.encode(Mark(name, letter.partition, sent.offset))
        await producer.send_and_wait(settings.topic(topics.REDRIVES), mark, place, 0)
        yield producer
    finally:
        await producer.stop()


async def test_a_killed_redrive_s_open_transaction_is_aborted_and_the_next_redrive_sends_its_letters(
    topics_only: Settings,
) -> None:
    await park(topics_only, 10)
    async with killed_in_the_middle(topics_only):
        assert len((await redrive_letters(topics_only, PAYMENTS)).letters) == 10
    await check_each_went_back_once(topics_only)


async def test_letters_committed_by_a_killed_redrive_do_not_go_back_again(topics_only: Settings) -> None:
    await park(topics_only, 10)
    async with killed_in_the_middle(topics_only) as producer:
        await producer.commit_transaction()
        assert len((await redrive_letters(topics_only, PAYMENTS)).letters) == 9
    await check_each_went_back_once(topics_only)


async def test_of_two_simultaneous_redrives_the_later_one_continues_and_no_letter_goes_back_twice(
    topics_only: Settings,
) -> None:
    await park(topics_only, 1_500)
    both = await asyncio.gather(
        *(redrive_letters(topics_only, PAYMENTS) for _ in range(2)), return_exceptions=True
    )
    done = [result for result in both if isinstance(result, RedriveResult)]
    assert done, "one of them ends well"
    for failure in (result for result in both if not isinstance(result, RedriveResult)):
        assert isinstance(failure, Unavailable)
        assert "another one has begun" in str(failure)
    await check_each_went_back_once(topics_only)


async def test_a_fenced_redrive_sends_nothing_more(topics_only: Settings) -> None:
    await park(topics_only, 3)
    letters = await committed(topics_only, LETTERS)
    async with Redrive(
        topics_only.kafka,
        transactional_id=f"{topics_only.app_id}-redrive",
        marks_topic=topics_only.topic(topics.REDRIVES),
        topics=topics.names(topics_only),
        transaction_timeout_ms=topics_only.transaction_timeout_ms,
    ) as overtaken:
        await redrive_letters(topics_only, PAYMENTS)
        with pytest.raises(Unavailable, match=r"another one has begun, .*; before that 0 letters"):
            await overtaken.send(letters, topic=topics_only.topic(topics.PAYMENT_EVENTS))
    await check_each_went_back_once(topics_only)


async def test_a_letter_that_fills_the_broker_s_limit_stays_and_is_counted(topics_only: Settings) -> None:
    await park(topics_only, 1)
    await park(topics_only, 1, value=b"x" * (RECORD_BYTES_MAX - 30))
    result = await redrive_letters(topics_only, PAYMENTS)
    assert (len(result.letters), result.too_large) == (1, 1)
    assert [record.value for record in await committed(topics_only, topics.PAYMENT_EVENTS)] == [b"{}"]


async def test_the_commands_report_their_results(topics_only: Settings) -> None:
    await park(topics_only, 2, value=b'{"amount": 1.10}')
    live = LiveSystem(topics_only)
    _, dry, _ = await live.command("dlq", "redrive", "payment-events", "--dry-run")
    assert "invalid-1" in dry
    assert "2 dead letters would go back onto payment-events." in dry
    done = await live.document("dlq", "redrive", "payment-events", "--partition", "0")
    assert [letter["key"] for letter in done["letters"]] == ["invalid-0"]
    _, shown, _ = await live.command("dlq", "show", topics_only.topic(LETTERS), "0", "0")
    assert '  "amount": 1.10' in shown
    assert "gone back  20" in shown
    code, again, _ = await live.command("dlq", "redrive", "payment-events", "--partition", "0")
    assert (code, "Nothing to do" in again) == (0, True)
    code, _, missing = await live.command("dlq", "show", "payment-events", "0", "7")
    assert (code, "no dead letter of payment-events at partition 0, offset 7" in missing) == (1, True)


async def log_ends(settings: Settings) -> dict[TopicPartition, int]:
    """Return where every partition of the system ends, markers and open transactions included."""
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka) as consumer:
        cluster = await consumer._client.fetch_all_metadata()
        partitions = [
            TopicPartition(name, number)
            for name in topics.names(settings)
            for number in cluster.partitions_for_topic(name) or ()
        ]
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        return ends


async def test_a_redrive_with_nothing_to_send_ends_and_leaves_no_markers(topics_only: Settings) -> None:
    before = await log_ends(topics_only)
    assert (await redrive_letters(topics_only, PAYMENTS)).letters == []
    await park(topics_only, 500)
    await redrive_letters(topics_only, PAYMENTS)
    after = await log_ends(topics_only)
    async with asyncio.timeout(60):  # the consumer's close used to wait for ever, once in a few times
        for _ in range(5):
            again = await redrive_letters(topics_only, PAYMENTS)
            assert (again.letters, again.gone_before, again.dry_run) == ([], 500, False)
    assert before != after
    assert await log_ends(topics_only) == after


async def test_a_log_of_no_partitions_is_read_at_once_while_a_fetch_is_out(topics_only: Settings) -> None:
    await park(topics_only, 30)
    async with asyncio.timeout(30):
        for _ in range(5):
            async with opened_log(topics_only.kafka) as log:
                ends = await log.ends([topics_only.topic(LETTERS)])
                assert sum([len(records) async for _, records in log.read(ends)]) == 30
                assert [records async for records in log.read({})] == []
