"""Details of one dead letter: headers and value, for `dlq show`.

A JSON value is indented, with its numbers unchanged.  Any other value is shown as text if
it is printable, else as hex.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ledger_streams import topics
from ledger_streams.dlq.letters import NO_MARKS, DeadLetter, dead_letter, key_text
from ledger_streams.escaping import json_for_terminal, terminal_text
from ledger_streams.kafka.log_reader import opened_log
from ledger_streams.kafka.redrive import Mark, read_marks
from ledger_streams.kafka_settings import client_options
from ledger_streams.settings import Settings

Form = Literal["none", "json", "text", "hex"]


class LetterDetails(msgspec.Struct, frozen=True):
    """A dead letter with headers and value; `value` is JSON or a string, according to `value_form`."""

    letter: DeadLetter
    headers: list[tuple[str, str]]
    value_form: Form
    value: Any


async def read_letter(config: Settings, topic: str, *, partition: int, offset: int) -> LetterDetails | None:
    """Return the dead letter at this offset; None if there is none."""
    name = config.topic(topics.dead_letters(topic))
    where = (name, partition)
    async with opened_log(client_options(config)) as log:
        end = (await log.ends([name])).get(where, 0)
        if offset >= end:
            return None
        marks = await read_marks(log, config.topic(topics.REDRIVES))
        async for _, records in log.read({where: offset + 1}, begin={where: offset}):
            for record in records:
                return letter_details(record, marks)
    return None


def letter_details(record: Any, marks: Mapping[str, Mark] = NO_MARKS) -> LetterDetails:
    """Return the details of a record of aiokafka."""
    form, value = _readable(record.value)
    headers = [(name, key_text(text)) for name, text in record.headers]
    return LetterDetails(dead_letter(record, marks), headers, form, value)


def details_text(shown: LetterDetails) -> str:
    """Return the details as text."""
    letter = shown.letter
    pairs = [
        ("letter", letter.place),
        ("parked at", letter.parked_at),
        ("from", _source(letter)),
        ("reason", letter.reason),
        ("detail", letter.detail),
        ("repeats", letter.repeats or "no other letter"),
        ("gone back", f"{letter.redriven_at}, to {letter.redriven_to}" if letter.redriven_to else "no"),
        ("key", letter.key),
    ]
    lines = [f"{name:<10} {terminal_text(text)}".rstrip() for name, text in pairs]
    lines += ["", "headers"]
    lines += [f"  {terminal_text(name)}: {terminal_text(text)}".rstrip() for name, text in shown.headers]
    return "\n".join([*lines, "", *_value_lines(shown)])


def _source(letter: DeadLetter) -> str:
    if not letter.source_topic:
        return "unknown"
    return f"{letter.source_topic}:{letter.source_partition}:{letter.source_offset}"


def _value_lines(shown: LetterDetails) -> list[str]:
    if shown.value_form == "none":
        return ["no value"]
    text = shown.value
    if shown.value_form == "json":
        text = json_for_terminal(msgspec.json.format(bytes(shown.value), indent=2).decode())
    return [f"{shown.letter.value_bytes:,} bytes of value, as {shown.value_form}", text]


def _readable(value: bytes | None) -> tuple[Form, Any]:
    if value is None:
        return "none", None
    try:
        msgspec.json.decode(value)
        value.decode()  # msgspec may accept JSON that is not UTF-8
        return "json", msgspec.Raw(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = key_text(value)
    return ("hex", text) if text.startswith("0x") and text == "0x" + value.hex() else ("text", text)
