"""`dlq`: the dead letters, as they stand in the topics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from ledger_streams import topics
from ledger_streams.adapters.kafka_log import opened_log
from ledger_streams.cli.output import awaited, say_json, table
from ledger_streams.settings import Settings, settings

WITH_DEAD_LETTERS = tuple(
    topic.name
    for topic in topics.TOPICS
    if topics.dead_letters(topic.name) in {other.name for other in topics.TOPICS}
)
KEY_CHARACTERS_MAX = 60


class DeadLetter(msgspec.Struct, frozen=True):
    """One dead letter: where it lies, where it stood, and why it is here."""

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


@click.group()
def dlq() -> None:
    """Dead letters: records that could not be carried out."""


@dlq.command("list")
@click.option("--topic", type=click.Choice(WITH_DEAD_LETTERS), help="Only those of this topic.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(topic: str | None, as_json: bool) -> None:
    """List the dead letters, oldest first."""
    names = [topic] if topic else list(WITH_DEAD_LETTERS)
    letters = awaited(dead_letters(settings(), names))
    if as_json:
        say_json(letters)
    else:
        click.echo(letters_text(letters))


async def dead_letters(config: Settings, names: Sequence[str]) -> list[DeadLetter]:
    """Return all dead letters of the topics, by the time they were parked."""
    found: list[DeadLetter] = []
    async with opened_log(config.kafka) as log:
        ends = await log.ends([config.topic(topics.dead_letters(name)) for name in names])
        async for _, records in log.read(ends):
            found += map(dead_letter, records)
    return sorted(found, key=lambda letter: (letter.parked_at, letter.topic, letter.partition, letter.offset))


def dead_letter(record: Any) -> DeadLetter:
    """Read aiokafka's record as a dead letter; whatever is in it, it can be shown."""
    about = {
        name: value.decode(errors="replace") for name, value in record.headers if name.startswith("dlq.")
    }
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        parked_at=datetime.fromtimestamp(record.timestamp / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        + "Z",
        source_topic=about.get("dlq.topic", ""),
        source_partition=about.get("dlq.partition", ""),
        source_offset=about.get("dlq.offset", ""),
        reason=about.get("dlq.reason", ""),
        detail=about.get("dlq.detail", ""),
        key=key_text(record.key),
        value_bytes=len(record.value or b""),
    )


def key_text(key: bytes | None) -> str:
    """Return the key as text if it is printable text, else as hex."""
    if key is None:
        return ""
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return "0x" + key.hex()
    return text if text.isprintable() else "0x" + key.hex()


def letters_text(letters: Sequence[DeadLetter]) -> str:
    """Return the list for people."""
    if not letters:
        return "No dead letters."
    columns = ("topic", "part.", "offset", "parked at", "reason", "detail", "key", "bytes")
    rows = [
        (
            letter.topic,
            letter.partition,
            letter.offset,
            letter.parked_at,
            letter.reason,
            letter.detail,
            letter.key[:KEY_CHARACTERS_MAX],
            f"{letter.value_bytes:,}",
        )
        for letter in letters
    ]
    return table(f"{len(letters):,} dead letters", columns, rows, numbers=("part.", "offset", "bytes"))
