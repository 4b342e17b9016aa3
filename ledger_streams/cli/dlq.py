"""`dlq`: the dead letters: list, show, and redrive, which sends them back onto their own topic."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ledger_streams.cli.dlq_show import letter_shown, shown_text
from ledger_streams.cli.output import awaited, say_json, table
from ledger_streams.dlq.letters import WITH_DEAD_LETTERS, DeadLetter, LetterTopic, read_letters
from ledger_streams.dlq.redrive import LetterSelection, preview_redrive, redrive_letters, redrive_text
from ledger_streams.kafka.log_reader import opened_log
from ledger_streams.kafka_settings import client_options
from ledger_streams.settings import Settings, settings

KEY_CHARACTERS_MAX = 60


@click.group()
def dlq() -> None:
    """Dead letters: records that could not be carried out."""


@dlq.command("list")
@click.option("--topic", type=LetterTopic(), help="Only those of this topic.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(topic: str | None, as_json: bool) -> None:
    """List the dead letters, oldest first."""
    letters = awaited(dead_letters(settings(), [topic] if topic else WITH_DEAD_LETTERS))
    if as_json:
        say_json(letters)
    else:
        click.echo(letters_text(letters))


@dlq.command()
@click.argument("topic", type=LetterTopic())
@click.argument("partition", type=click.IntRange(min=0))
@click.argument("offset", type=click.IntRange(min=0))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(topic: str, partition: int, offset: int, as_json: bool) -> None:
    """Show the dead letter of TOPIC at PARTITION and OFFSET, as `list` names them, with all that is in it."""
    shown = awaited(letter_shown(settings(), topic, partition=partition, offset=offset))
    if shown is None:
        raise click.ClickException(f"no dead letter of {topic} is at partition {partition}, offset {offset}")
    if as_json:
        say_json(shown)
    else:
        click.echo(shown_text(shown))


@dlq.command()
@click.argument("topic", type=LetterTopic())
@click.option("--reason", help="Only those that were parked for this reason.")
@click.option("--partition", type=click.IntRange(min=0), help="Only those of this partition.")
@click.option("--offset", type=click.IntRange(min=0), help="Only the one at this offset; with --partition.")
@click.option("--limit", type=click.IntRange(min=1), help="So many at most, oldest first.")
@click.option("--dry-run", is_flag=True, help="Print what would go back, and send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def redrive(  # noqa: PLR0913  # one parameter an option
    topic: str,
    *,
    reason: str | None,
    partition: int | None,
    offset: int | None,
    limit: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send dead letters back onto TOPIC, each once, however often this is called.

    They go back as they were, into the partition they came from; those of reason wrong_partition into
    their key's.  What still cannot be carried out is parked again, as a new letter that names this one.
    """
    if offset is not None and partition is None:
        raise click.UsageError("--offset needs --partition")
    wanted = LetterSelection(topic=topic, reason=reason, partition=partition, offset=offset, limit=limit)
    carry_out = preview_redrive if dry_run else redrive_letters
    result = awaited(carry_out(settings(), wanted))
    if as_json:
        say_json(result)
    else:
        if dry_run and result.letters:
            click.echo(letters_text(result.letters))
        click.echo(redrive_text(result))


async def dead_letters(config: Settings, names: Sequence[str]) -> list[DeadLetter]:
    """Return all dead letters of the topics, oldest first."""
    async with opened_log(client_options(config)) as log:
        return await read_letters(config, log, names)


def letters_text(letters: Sequence[DeadLetter]) -> str:
    """Return the list for people."""
    if not letters:
        return "No dead letters."
    columns = ("topic", "part.", "offset", "parked at", "reason", "detail", "key", "bytes", "redrive")
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
            redrive_words(letter),
        )
        for letter in letters
    ]
    return table(f"{len(letters):,} dead letters", columns, rows, numbers=("part.", "offset", "bytes"))


def redrive_words(letter: DeadLetter) -> str:
    """Say what redrives have to do with a letter: it is parked `again` after one, or is `gone` by one."""
    words = ("again" if letter.repeats else "", "gone" if letter.redriven_to else "")
    return ", ".join(filter(None, words))
