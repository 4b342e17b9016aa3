"""`wallets statement`: what moved in a wallet in a period, over HTTP, all pages of it.

People get a table, programs JSON (one document) or CSV (a line a movement, written as
pages come).  A day stands for its beginning in UTC.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final
from urllib.parse import quote, urlencode

import click

from ledger_streams.cli.http import get_document, url_option
from ledger_streams.cli.output import lines_for_terminal, say_json, table
from ledger_streams.escaping import csv_cell

PAGE: Final = 1000
COLUMNS: Final = (
    *("version", "occurred_at", "type", "currency", "amount", "balance"),
    *("kind", "counterparty", "provider", "payment_id", "event_id"),
)
SHOWN: Final = ("version", "occurred_at", "currency", "amount", "balance", "kind", "counterparty", "date")
NUMBERS: Final = frozenset({"version", "amount", "balance"})
"""Columns that a spreadsheet may calculate with."""
SUMS: Final = ("opening", "total_in", "total_out", "closing")
DAY_CHARACTERS: Final = len("2026-11-25")


@click.command()
@click.argument("wallet_id")
@click.option("--from", "since", help="A day, or a time as RFC 3339 has it; without it from the beginning.")
@click.option("--to", help="Before this day or time; without it up to the last event.")
@click.option("--currency", help="This one alone.")
@url_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, movements only.")
def statement(  # noqa: PLR0913, PLR0917 (a parameter an option)
    wallet_id: str,
    since: str | None,
    to: str | None,
    currency: str | None,
    url: str,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show what moved in the wallet WALLET_ID in a period, with opening and closing balances."""
    if as_json and as_csv:
        raise click.UsageError("--json or --csv, not both")
    asked = {"from": _time(since), "to": _time(to), "currency": currency}
    path = f"/v1/wallets/{quote(wallet_id, safe='')}/statement"
    more = pages(url, path, asked)
    first = next(more)
    movements = chain(first["movements"], chain.from_iterable(page["movements"] for page in more))
    if as_csv:
        _write_csv(movements)
    elif as_json:
        say_json({**first, "movements": [*movements], "next": None})
    else:
        click.echo(statement_text(first, [*movements]))


def pages(url: str, path: str, asked: Mapping[str, str | None]) -> Iterator[Mapping[str, Any]]:
    """Yield all pages; those after the first are of the period that the first one says."""
    parameters: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    while True:
        page = get_document(url, f"{path}?{urlencode({**parameters, 'limit': PAGE})}")
        yield page
        if page["next"] is None:
            return
        parameters |= {"to": page["to"], "after": page["next"]}


def statement_text(first: Mapping[str, Any], movements: Sequence[Mapping[str, Any]]) -> str:
    """Return the statement for people: the sums, then a line a movement."""
    head = f"wallet   {first['wallet_id']}\nperiod   {first['from'] or 'the beginning'} to {first['to']}"
    columns = ("currency", *SUMS, "movements")
    sums = [[row[name] for name in columns] for row in first["sums"]]
    text = lines_for_terminal(head) + "\n\n" + table("", columns, sums, numbers=(*SUMS, "movements"))
    if not movements:
        return text
    dated = [{**row, "date": (row["metadata"] or {}).get("date")} for row in movements]
    rows = [[row[name] for name in SHOWN] for row in dated]
    return text + "\n\n" + table("", SHOWN, rows, numbers=("version", "amount", "balance"))


def _write_csv(movements: Iterator[Mapping[str, Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow((*COLUMNS, "date"))
    for row in movements:
        cells = [csv_cell(row[name], is_number=name in NUMBERS) for name in COLUMNS]
        writer.writerow((*cells, csv_cell((row["metadata"] or {}).get("date"))))


def _time(text: str | None) -> str | None:
    return f"{text}T00:00:00Z" if text is not None and len(text) == DAY_CHARACTERS else text
