"""Redrive: sends each dead letter back onto its own topic once.

One transaction holds the letter's record and the mark that it went back.  All redrives of a system
share one transactional id: a later redrive fences the running one, settles its open transaction and
only then reads the marks.  So no letter goes back twice, even if a redrive is killed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any, Final, Self

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from ledger_streams.domain.reasons import Reason
from ledger_streams.errors import Unavailable
from ledger_streams.kafka.client_options import Bootstrap, options
from ledger_streams.kafka.log_reader import KafkaLog
from ledger_streams.kafka.transactional_producer import connect, discard, is_fenced, noted, placed

REDRIVEN_HEADER: Final = "dlq.redriven"
"""Header of a record that was redriven: the letter's place, `<dead-letter topic>:<partition>:<offset>`."""
LETTER_HEADERS: Final = "dlq."
"""Prefix of the headers that a letter has and its record had not."""
LETTER_REASON: Final = "dlq.reason"
RECORD_BYTES_MAX: Final = 1_048_588 - 61 - 32
"""The broker's message.max.bytes, less a batch's head and the most that a record's own framing takes."""
HEADER_OVERHEAD_BYTES: Final = 10
"""The most that the framing of a header takes."""
RETRY_BACKOFF_MS: Final = 20
"""A transaction right after another meets CONCURRENT_TRANSACTIONS, which is asked again."""


class Mark(msgspec.Struct, frozen=True):
    """Place of the record that a letter went back as; `at_ms` is its append time."""

    topic: str
    partition: int
    offset: int
    at_ms: int = 0


def place(letter: Any) -> str:
    """Return the place of a letter, which is the key of its mark."""
    return f"{letter.topic}:{letter.partition}:{letter.offset}"


def restored_headers(letter: Any) -> list[tuple[str, bytes]]:
    """Return the headers of the redriven record: its original ones, and the letter's place."""
    kept = [header for header in letter.headers if not header[0].startswith(LETTER_HEADERS)]
    return [*kept, (REDRIVEN_HEADER, place(letter).encode())]


def restored_partition(letter: Any) -> int | None:
    """Return the partition of the redriven record; None, the key's partition, if the record was misplaced."""
    is_misplaced = (LETTER_REASON, Reason.WRONG_PARTITION.value.encode()) in letter.headers
    return None if is_misplaced else letter.partition


def is_too_large(letter: Any) -> bool:
    """Return whether the record exceeds the broker's limit once it has the redrive header."""
    record_bytes = len(letter.key or b"") + len(letter.value or b"")
    for name, text in restored_headers(letter):
        record_bytes += len(name.encode()) + len(text or b"") + HEADER_OVERHEAD_BYTES
    return record_bytes > RECORD_BYTES_MAX


async def read_marks(kafka_log: KafkaLog, marks_topic: str) -> dict[str, Mark]:
    """Return the mark of each letter that has gone back, by its place."""
    marks: dict[str, Mark] = {}
    async for _, records in kafka_log.read(await kafka_log.ends([marks_topic])):
        for record in records:
            mark = msgspec.json.decode(record.value, type=Mark)
            marks[record.key.decode()] = msgspec.structs.replace(mark, at_ms=record.timestamp)
    return marks


class Redrive:
    """One redrive; use as `async with`, and read marks and letters inside."""

    def __init__(
        self,
        bootstrap: Bootstrap,
        *,
        transactional_id: str,
        marks_topic: str,
        topics: Collection[str],
        transaction_timeout_ms: int,
    ) -> None:
        self._topics = topics
        self._marks_topic = marks_topic
        self.redriven = 0
        """Letters that have gone back."""
        self._producer = AIOKafkaProducer(
            **options(bootstrap),
            transactional_id=transactional_id,
            transaction_timeout_ms=transaction_timeout_ms,
            acks="all",
            enable_idempotence=True,
            max_request_size=2 * RECORD_BYTES_MAX,
            retry_backoff_ms=RETRY_BACKOFF_MS,
        )

    async def __aenter__(self) -> Self:
        await connect(self._producer, self._topics)
        return self

    async def __aexit__(self, *_: object) -> None:
        await discard(self._producer)

    async def send(self, letters: Sequence[Any], *, topic: str) -> None:
        """Send letters back onto `topic`, into the partitions they belong to, and mark them: all or none.

        Raises Unavailable when that did not happen, or nobody knows; a later redrive finds out.
        """
        try:
            await self._producer.begin_transaction()
            sent = [
                await self._send(
                    topic,
                    letter.value,
                    letter.key,
                    partition=restored_partition(letter),
                    headers=restored_headers(letter),
                )
                for letter in letters
            ]
            marked = []
            for letter, delivered in zip(letters, sent, strict=True):
                at = placed(await delivered)
                mark = Mark(topic, at.partition, at.offset)
                value, key = msgspec.json.encode(mark), place(letter).encode()
                marked.append(await self._send(self._marks_topic, value, key, partition=0))
            await asyncio.gather(*marked)
            await self._producer.commit_transaction()
        except KafkaError as error:
            raise self._unavailable(error) from error
        self.redriven += len(letters)

    async def _send(
        self, topic: str, value: bytes | None, key: bytes | None, **where: Any
    ) -> asyncio.Future[Any]:
        delivered: asyncio.Future[Any] = await self._producer.send(topic, value, key, **where)
        delivered.add_done_callback(noted)
        for batches in self._producer._message_accumulator._batches.values():
            for batch in batches:  # when fenced, aiokafka fails these too, and nobody waits for them
                batch._drain_waiter.add_done_callback(noted)
        return delivered

    def _unavailable(self, error: KafkaError) -> Unavailable:
        before = f"{self.redriven:,} letters had gone back"
        if is_fenced(error):
            return Unavailable(
                dependency="the redrive",
                detail=f"another one has begun, or this one took too long; before that {before}",
            )
        detail = f"{type(error).__name__}: {error}; {before}, and a redrive that is repeated sends none twice"
        return Unavailable(dependency="kafka", detail=detail)
