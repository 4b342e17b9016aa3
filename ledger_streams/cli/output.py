"""Output: tables for people, JSON for programs, and how a command says that it cannot.

JSON is one document on stdout and nothing else; what is only for eyes (progress,
warnings) goes to stderr.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ledger_streams.errors import LedgerError
from ledger_streams.escaping import json_for_terminal, terminal_text

T = TypeVar("T")
PIPED_WIDTH = 160
"""A table that is not on a terminal is not cut to 80 characters."""


def say_json(document: Any) -> None:
    """Print any JSON-like value or Struct as indented JSON."""
    click.echo(json_text(document))


def json_text(document: Any) -> str:
    """Return any JSON-like value or Struct as indented JSON."""
    return json_for_terminal(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Sequence[str] = ()
) -> str:
    """Return a table as text; the columns named in `numbers` are right-aligned."""
    console = Console(width=None if Console().is_terminal else PIPED_WIDTH, highlight=False)
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        number = column in numbers
        drawn.add_column(column, justify="right" if number else "left", no_wrap=number, overflow="fold")
    for row in rows:
        drawn.add_row(*(_plain(cell) for cell in row))
    with console.capture() as captured:
        console.print(drawn)
    title = terminal_text(title)
    lines = [title, *captured.get().splitlines()] if title else captured.get().splitlines()
    return "\n".join(line.rstrip() for line in lines)


def awaited(work: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine to its end; an error of ours ends the command with exit code 1 and its message."""
    try:
        return asyncio.run(work)
    except LedgerError as error:
        raise explained(error) from error


def parked_lines(document: Mapping[str, Any]) -> list[str]:
    """Return a line for each parked record of a payment or wallet as HTTP shows it."""
    return [
        f"parked   {one['topic']}[{one['partition']}]@{one['offset']} ({one['reason']}): "
        "what is shown is behind, see `ledger-streams projections parked list`"
        for one in document.get("parked") or ()
    ]


def explained(error: LedgerError) -> click.ClickException:
    """Return what a command ends with: the error, and the setting that changes it."""
    from ledger_streams.cli.mistakes import sentence  # noqa: PLC0415 (it reads settings)

    return click.ClickException(lines_for_terminal(sentence(error) or str(error)))


def lines_for_terminal(text: str) -> str:
    """Return text of several lines, with all that a terminal would obey escaped."""
    return "\n".join(map(terminal_text, text.split("\n")))


def _plain(cell: object) -> Text:
    """Return a cell whose text is neither markup of rich nor obeyed by a terminal."""
    return Text("" if cell is None else terminal_text(str(cell)))
