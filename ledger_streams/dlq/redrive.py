"""`dlq redrive`: selects dead letters and sends them back to their source topic.

The marks are read after the redrive's producer has started: it fences every other redrive, so no
mark is in flight.  Letters are read twice, once to select and once to send, so memory use does not
grow with their size.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec

from ledger_streams import rights, topics
from ledger_streams.dlq.letters import DeadLetter, read_letters
from ledger_streams.kafka.log_reader import KafkaLog, opened_log
from ledger_streams.kafka.redrive import Redrive, place
from ledger_streams.kafka_settings import client_options
from ledger_streams.settings import Settings

TRANSACTION_LETTERS_MAX: Final = 200
TRANSACTION_BYTES_MAX: Final = 4 << 20
"""Payload of one transaction, which has to commit well within its timeout."""


class LetterSelection(msgspec.Struct, frozen=True, kw_only=True):
    """Filter for letters; None matches any."""

    topic: str
    reason: str | None = None
    partition: int | None = None
    offset: int | None = None
    limit: int | None = None

    def matches(self, letter: DeadLetter) -> bool:
        """Tell whether a letter passes the filter, redriven or not."""
        return (
            self.reason in (None, letter.reason)
            and self.partition in (None, letter.partition)
            and self.offset in (None, letter.offset)
        )


class RedriveResult(msgspec.Struct, frozen=True):
    """Result of a redrive, or of its dry run."""

    topic: str
    dry_run: bool
    letters: list[DeadLetter]
    """Letters sent back, oldest first, as they were before the redrive."""
    gone_before: int
    """Matching letters that were sent back earlier."""
    too_large: int
    """Matching letters that cannot be sent back: with one header more they exceed the broker's limit."""


def select_letters(letters: Sequence[DeadLetter], wanted: LetterSelection, *, dry_run: bool) -> RedriveResult:
    """Return the letters to send; the limit counts only those that can be sent."""
    fitting = [letter for letter in letters if wanted.matches(letter)]
    stayed = [letter for letter in fitting if not letter.redriven_to]
    can_go = [letter for letter in stayed if not letter.too_large]
    return RedriveResult(
        wanted.topic,
        dry_run,
        can_go[: wanted.limit],
        gone_before=len(fitting) - len(stayed),
        too_large=len(stayed) - len(can_go),
    )


async def preview_redrive(config: Settings, wanted: LetterSelection) -> RedriveResult:
    """Return the result of a dry run."""
    async with opened_log(client_options(config)) as log:
        return select_letters(await read_letters(config, log, [wanted.topic]), wanted, dry_run=True)


async def redrive_letters(config: Settings, wanted: LetterSelection) -> RedriveResult:
    """Send letters back; raises Unavailable when another redrive has started, or Kafka is unavailable.

    Starting the producer aborts the open transaction of an earlier redrive, which writes markers into
    every partition.  So it starts only when a letter can be sent.  A preview before it is safe: marks
    of an open transaction are not readable, and their letters still count as not sent.
    """
    if not (nothing := await preview_redrive(config, wanted)).letters:
        return msgspec.structs.replace(nothing, dry_run=False)
    async with (
        Redrive(
            client_options(config),
            transactional_id=f"{config.app_id}-redrive",
            marks_topic=config.topic(topics.REDRIVES),
            topics=rights.transactional_topics(config, "operator"),
            transaction_timeout_ms=config.transaction_timeout_ms,
        ) as redrive,
        opened_log(client_options(config)) as log,
    ):
        result = select_letters(await read_letters(config, log, [wanted.topic]), wanted, dry_run=False)
        async for batch in _batches(log, result.letters):
            await redrive.send(batch, topic=config.topic(wanted.topic))
    return result


async def _batches(log: KafkaLog, letters: Sequence[DeadLetter]) -> AsyncIterator[list[Any]]:
    """Yield the records of the letters in batches of one transaction, in order within each partition."""
    places = {letter.place for letter in letters}
    begin: dict[tuple[str, int], int] = {}
    ends: dict[tuple[str, int], int] = {}
    for letter in letters:
        partition = (letter.topic, letter.partition)
        begin[partition] = min(letter.offset, begin.get(partition, letter.offset))
        ends[partition] = max(letter.offset + 1, ends.get(partition, 0))
    batch: list[Any] = []
    batch_bytes = 0
    async for _, records in log.read(ends, begin=begin):
        for record in records:
            if place(record) not in places:
                continue
            batch.append(record)
            batch_bytes += len(record.value or b"")
            if len(batch) == TRANSACTION_LETTERS_MAX or batch_bytes >= TRANSACTION_BYTES_MAX:
                yield batch
                batch, batch_bytes = [], 0
    if batch:
        yield batch


def redrive_text(result: RedriveResult) -> str:
    """Return the result as text."""
    count = len(result.letters)
    letters = f"{count:,} dead letter{'s' * (count != 1)}"
    if not count:
        lines = [f"Nothing to do: no dead letter of {result.topic} is to go back."]
    elif result.dry_run:
        lines = [f"{letters} would go back onto {result.topic}."]
    else:
        lines = [f"{letters} went back onto {result.topic}."]
    if result.gone_before:
        lines.append(f"{result.gone_before:,} had gone back before.")
    if result.too_large:
        lines.append(f"{result.too_large:,} cannot go back: too large with the header that says where from.")
    return "\n".join(lines)
