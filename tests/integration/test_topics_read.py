"""`topics read` on a real Kafka."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import unicodedata
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from ledger_streams import topics
from ledger_streams.cli.topics import ReadOptions, read_records, value_line, whole_line
from ledger_streams.errors import Rejected, Unavailable
from ledger_streams.kafka.log_reader import opened_log
from ledger_streams.settings import Settings

pytestmark = pytest.mark.topics(topics.PAYMENT_EVENTS)

VALUES = [b'{"a":\n 1.10, "a": 2}', b"no json \x1b[2J", None, b"\xff\xfe", '"\u202e\x9b"'.encode()]


@pytest.fixture
async def written(topics_only: Settings) -> AsyncIterator[Settings]:
    """A partition with committed records, and an aborted one between."""
    name = topics_only.topic("payment-events")
    producer = AIOKafkaProducer(
        bootstrap_servers=topics_only.kafka, transactional_id=f"{topics_only.app_id}-t"
    )
    async with producer:
        for number, value in enumerate(VALUES):
            async with producer.transaction():
                await producer.send_and_wait(name, value, b"key-%d" % (number % 2), 3, headers=[("h", b"\n")])
            await producer.begin_transaction()
            await producer.send_and_wait(name, b"aborted", b"key-0", partition=3)
            await producer.abort_transaction()
    yield topics_only


async def values(config: Settings, **asked: object) -> list[bytes | None]:
    reading = msgspec.convert({"topic": "payment-events", **asked}, ReadOptions)
    async with opened_log(config.kafka) as log:
        return [record.value async for record in read_records(config, log, reading)]


async def test_topics_read_shows_committed_records(written: Settings) -> None:
    assert await values(written) == VALUES
    assert await values(written, partition=3, limit=2) == VALUES[:2]
    assert await values(written, partition=2) == []
    assert await values(written, begin="end") == []
    assert await values(written, begin="3") == VALUES[1:]
    assert await values(written, key="key-1") == VALUES[1::2]
    assert await values(written, topic=written.topic("payment-events"), limit=1) == VALUES[:1]
    with pytest.raises(Rejected, match="no partition 99"):
        await values(written, partition=99)
    with pytest.raises(Unavailable, match="no such topic: nothing"):
        await values(written, topic="nothing")


async def test_records_are_printed_as_json_lines_without_control_characters(written: Settings) -> None:
    lines = [value_line(value) for value in VALUES]
    assert lines[0] == '{"a":1.10,"a":2}'
    assert lines[2] == "null"
    async with opened_log(written.kafka) as log:
        whole = [
            whole_line(one) async for one in read_records(written, log, ReadOptions(topic="payment-events"))
        ]
    for line in (*lines, *whole):
        msgspec.json.decode(line)
        assert not {"Cc", "Cf", "Cs", "Zl", "Zp"} & set(map(unicodedata.category, line))
    first = msgspec.json.decode(whole[0])
    assert (first["partition"], first["offset"], first["key"], first["value"]) == (3, 0, "key-0", {"a": 2})


async def test_following_shows_what_comes_until_the_limit(written: Settings) -> None:
    command = ("topics", "read", "payment-events", "--follow", "--from", "beginning", "--limit", "6")
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ledger_streams", *command,
        env={**os.environ, "LEDGER_KAFKA": written.kafka, "LEDGER_TOPIC_PREFIX": written.topic_prefix},
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert running.stdout is not None
    try:
        async with asyncio.timeout(90):
            lines = [await running.stdout.readline() for _ in VALUES]
            async with AIOKafkaProducer(bootstrap_servers=written.kafka) as producer:
                await producer.send_and_wait(written.topic("payment-events"), b'"new"')
            rest, _ = await running.communicate()
    finally:
        if running.returncode is None:
            running.kill()
    assert lines[0] == b'{"a":1.10,"a":2}\n'
    assert (rest, running.returncode) == (b'"new"\n', 0)


def test_topics_read_ends_silently_when_its_pipe_is_closed(written: Settings) -> None:
    given = {
        "LEDGER_KAFKA": written.kafka,
        "LEDGER_TOPIC_PREFIX": written.topic_prefix,
        "LEDGER_APP_ID": written.app_id,
    }
    code = "from ledger_streams.cli import main; main(['topics', 'read', 'payment-events'])"
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        command = [sys.executable, "-c", code]
        ran = subprocess.run(
            command, stdout=closed, stderr=subprocess.PIPE, env={**os.environ, **given}, check=False
        )
    assert (ran.returncode, ran.stderr) == (1, b"")
