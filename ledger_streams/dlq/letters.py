"""Dead letters read from their topics for display.

Every content can be shown.  A letter is immutable: the redrive marks tell whether it was sent back,
and a header tells whether it was parked before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import click
import msgspec

from ledger_streams import topics
from ledger_streams.kafka.log_reader import KafkaLog
from ledger_streams.kafka.redrive import (
    LETTER_HEADERS,
    REDRIVEN_HEADER,
    Mark,
    is_too_large,
    place,
    read_marks,
)
from ledger_streams.settings import Settings, settings

WITH_DEAD_LETTERS: Final = tuple(
    topic.name
    for topic in topics.TOPICS
    if topics.dead_letters(topic.name) in {other.name for other in topics.TOPICS}
)
"""Topics with dead letters; wallet-events has none, since only workers write to it."""
NO_MARKS: Final[Mapping[str, Mark]] = MappingProxyType({})


class DeadLetter(msgspec.Struct, frozen=True):
    """One dead letter: its place, its source record, its reason and its redrive."""

    topic: str
    partition: int
    offset: int
    parked_at: str
    source_topic: str
    source_partition: str
    source_offset: str
    reason: str
    detail: str
    key: str
    value_bytes: int
    repeats: str
    """Place of the earlier letter when this one was redriven and parked again; else empty."""
    redriven_at: str
    redriven_to: str
    """Place on its source topic after the redrive; empty before."""
    too_large: bool
    """True when it cannot be redriven: one header more exceeds the topic's limit."""

    @property
    def place(self) -> str:
        """Topic, partition and offset, as in marks and headers."""
        return place(self)


class LetterTopic(click.Choice[str]):
    """Parameter type of a topic with dead letters; its `.dlq` name and the topic prefix are accepted."""

    def __init__(self) -> None:
        super().__init__(WITH_DEAD_LETTERS)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the topic's name in the contract."""
        name = value.removeprefix(settings().topic_prefix)
        for topic in WITH_DEAD_LETTERS:
            if name == topics.dead_letters(topic):
                name = topic
        topic_name: str = super().convert(name, param, ctx)
        return topic_name


async def read_letters(config: Settings, log: KafkaLog, names: Sequence[str]) -> list[DeadLetter]:
    """Return all dead letters of the topics, ordered by the time they were parked."""
    marks = await read_marks(log, config.topic(topics.REDRIVES))
    found: list[DeadLetter] = []
    ends = await log.ends([config.topic(topics.dead_letters(name)) for name in names])
    async for _, records in log.read(ends):
        found += [dead_letter(record, marks) for record in records]
    return sorted(found, key=lambda letter: (letter.parked_at, letter.topic, letter.partition, letter.offset))


def dead_letter(record: Any, marks: Mapping[str, Mark] = NO_MARKS) -> DeadLetter:
    """Read aiokafka's record as a dead letter."""
    about = {
        name: (value or b"").decode(errors="replace")
        for name, value in record.headers
        if name.startswith(LETTER_HEADERS)
    }
    mark = marks.get(place(record))
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        parked_at=moment_text(record.timestamp),
        source_topic=about.get("dlq.topic", ""),
        source_partition=about.get("dlq.partition", ""),
        source_offset=about.get("dlq.offset", ""),
        reason=about.get("dlq.reason", ""),
        detail=about.get("dlq.detail", ""),
        key=key_text(record.key),
        value_bytes=len(record.value or b""),
        repeats=about.get(REDRIVEN_HEADER, ""),
        redriven_at=moment_text(mark.at_ms) if mark else "",
        redriven_to=place(mark) if mark else "",
        too_large=is_too_large(record),
    )


def moment_text(at_ms: int) -> str:
    """Return a moment, milliseconds since 1970, as RFC 3339."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def key_text(key: bytes | None) -> str:
    """Return the key as text if it is printable text, else as hex."""
    if key is None:
        return ""
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return "0x" + key.hex()
    return text if text.isprintable() else "0x" + key.hex()
