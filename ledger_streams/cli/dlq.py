"""`dlq`: list and show dead letters, and redrive them onto their own topic."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ledger_streams.cli.output import print_json, run_async, table
from ledger_streams.dlq.letter_details import details_text, read_letter
from ledger_streams.dlq.letters import WITH_DEAD_LETTERS, DeadLetter, LetterTopic, read_letters
from ledger_streams.dlq.redrive import LetterSelection, preview_redrive, redrive_letters, redrive_text
from ledger_streams.kafka.log_reader import opened_log
from ledger_streams.kafka_settings import client_options
from ledger_streams.settings import Settings, settings

KEY_CHARACTERS_MAX = 60


@click.group()
def dlq() -> None:
    """Dead letters: records that could not be processed and were parked."""


@dlq.command("list")
@click.option("--topic", type=LetterTopic(), help="Only dead letters of this topic.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(topic: str | None, as_json: bool) -> None:
    """List the dead letters, oldest first."""
    letters = run_async(dead_letters(settings(), [topic] if topic else WITH_DEAD_LETTERS))
    if as_json:
        print_json(letters)
    else:
        click.echo(letters_text(letters))


@dlq.command()
@click.argument("topic", type=LetterTopic())
@click.argument("partition", type=click.IntRange(min=0))
@click.argument("offset", type=click.IntRange(min=0))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(topic: str, partition: int, offset: int, as_json: bool) -> None:
    """Show the dead letter of TOPIC at PARTITION and OFFSET (as in `list`) with headers and value."""
    shown = run_async(read_letter(settings(), topic, partition=partition, offset=offset))
    if shown is None:
        raise click.ClickException(
            f"no dead letter of {topic} at partition {partition}, offset {offset}: see `dlq list`"
        )
    if as_json:
        print_json(shown)
    else:
        click.echo(details_text(shown))


@dlq.command()
@click.argument("topic", type=LetterTopic())
@click.option("--reason", help="Only dead letters with this reason.")
@click.option("--partition", type=click.IntRange(min=0), help="Only dead letters of this partition.")
@click.option(
    "--offset", type=click.IntRange(min=0), help="Only the dead letter at this offset; needs --partition."
)
@click.option("--limit", type=click.IntRange(min=1), help="Maximum number of dead letters, oldest first.")
@click.option("--dry-run", is_flag=True, help="Print what would be redriven; send nothing.")
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
    """Redrive dead letters: send each back onto TOPIC once.  Safe to repeat.

    A record goes back unchanged into its partition; with reason wrong_partition, into its key's. A record
    that fails again is parked as a new dead letter, which names the old one.
    """
    if offset is not None and partition is None:
        raise click.UsageError("--offset needs --partition: an offset is unique within a partition only")
    wanted = LetterSelection(topic=topic, reason=reason, partition=partition, offset=offset, limit=limit)
    carry_out = preview_redrive if dry_run else redrive_letters
    result = run_async(carry_out(settings(), wanted))
    if as_json:
        print_json(result)
    else:
        if dry_run and result.letters:
            click.echo(letters_text(result.letters))
        click.echo(redrive_text(result))


async def dead_letters(config: Settings, names: Sequence[str]) -> list[DeadLetter]:
    """Return all dead letters of the topics, oldest first."""
    async with opened_log(client_options(config)) as log:
        return await read_letters(config, log, names)


def letters_text(letters: Sequence[DeadLetter]) -> str:
    """Return the dead letters as a table."""
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
            redrive_state(letter),
        )
        for letter in letters
    ]
    return table(f"{len(letters):,} dead letters", columns, rows, numbers=("part.", "offset", "bytes"))


def redrive_state(letter: DeadLetter) -> str:
    """Return `again` for a letter parked after a redrive, `gone` for one that was redriven since."""
    words = ("again" if letter.repeats else "", "gone" if letter.redriven_to else "")
    return ", ".join(filter(None, words))
