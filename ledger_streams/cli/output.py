"""Output of commands: tables, JSON, and errors.

With --json, stdout has one JSON document and nothing else.  Progress and warnings
go to stderr.
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
"""Width of a table that does not go to a terminal."""


def print_json(document: Any) -> None:
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


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine; a LedgerError ends the command with its message and exit code 1."""
    try:
        return asyncio.run(work)
    except LedgerError as error:
        raise click_error(error) from error


def parked_lines(document: Mapping[str, Any]) -> list[str]:
    """Return a line for each parked record in a payment's or wallet's JSON."""
    return [
        f"parked   {one['topic']}[{one['partition']}]@{one['offset']} ({one['reason']}): "
        "this view is out of date, see `ledger-streams projections parked list`"
        for one in document.get("parked") or ()
    ]


def click_error(error: LedgerError) -> click.ClickException:
    """Return the exception that ends a command with the error and the setting to change."""
    from ledger_streams.cli.mistakes import error_message  # noqa: PLC0415 (it reads settings)

    return click.ClickException(lines_for_terminal(error_message(error) or str(error)))


def lines_for_terminal(text: str) -> str:
    """Return the lines with terminal control characters escaped."""
    return "\n".join(map(terminal_text, text.split("\n")))


def _plain(cell: object) -> Text:
    """Return a cell's text without rich markup and with terminal control characters escaped."""
    return Text("" if cell is None else terminal_text(str(cell)))
