"""`wallets`: one wallet, its statement, or a user's, live over HTTP; one also from a worker's RocksDB."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final
from urllib.parse import quote, urlencode
from uuid import uuid4

import click
import msgspec

from ledger_streams import topics, wire
from ledger_streams.cli.http import get_document, url_option
from ledger_streams.cli.output import lines_for_terminal, parked_lines, print_json, run_async, table
from ledger_streams.domain.commands import ApproveReopening, ProposeReopening, ReopeningCommand
from ledger_streams.domain.ids import WalletId
from ledger_streams.errors import Unreadable
from ledger_streams.escaping import csv_cell
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.publisher import KafkaPublisher
from ledger_streams.kafka_settings import client_options
from ledger_streams.ports import Message
from ledger_streams.settings import settings
from ledger_streams.wire.reopenings import checked_name, checked_words

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
PAGE_MAX: Final = 1000
COLUMNS: Final = (
    *("version", "occurred_at", "type", "currency", "amount", "balance"),
    *("kind", "counterparty", "provider", "payment_id", "event_id"),
)
SHOWN: Final = ("version", "occurred_at", "currency", "amount", "balance", "kind", "counterparty", "date")
NUMBERS: Final = frozenset({"version", "amount", "balance"})
"""Columns that a spreadsheet may calculate with."""
SUMS: Final = ("opening", "total_in", "total_out", "closing")
DAY_CHARACTERS: Final = len("2026-11-25")
LOOK_EVERY_S: Final = 0.2
AMOUNTS = ("available", "held", "balance", "overdraft_limit")


@click.group()
def wallets() -> None:
    """Look at wallets."""


@wallets.command()
@click.argument("wallet_id")
@url_option
@click.option("--rocksdb", is_flag=True, help="Read the tables of this machine's workers instead.")
@json_option
def show(wallet_id: str, url: str, rocksdb: bool, as_json: bool) -> None:
    """Show the wallet WALLET_ID: status, version, balances."""
    wallet = _stored(wallet_id) if rocksdb else get_document(url, f"/v1/wallets/{quote(wallet_id, safe='')}")
    if as_json:
        print_json(wallet)
    else:
        click.echo(wallet_text(wallet))


@wallets.command("list")
@click.option("--user", "user_id", required=True, help="The owner's id.")
@url_option
@json_option
def list_(user_id: str, url: str, as_json: bool) -> None:
    """List a user's wallets."""
    path = f"/v1/users/{quote(user_id, safe='')}/wallets?limit={PAGE_MAX}"
    document = get_document(url, path)
    found: list[Mapping[str, Any]] = document["wallets"]
    while document.get("next"):
        document = get_document(url, f"{path}&after={document['next']}")
        found += document["wallets"]
    if as_json:
        print_json({"user_id": user_id, "wallets": found})
        return
    columns = ("wallet_id", "status", "version", "currency", *AMOUNTS)
    rows = [
        (wallet["wallet_id"], wallet["status"], wallet["version"], *amounts)
        for wallet in found
        for amounts in _amounts(wallet["balances"])
    ]
    click.echo(table(f"Wallets of user {user_id}", columns, rows, numbers=("version", *AMOUNTS)))


def wallet_text(wallet: Mapping[str, Any]) -> str:
    """Return the wallet for people."""
    head = (
        f"wallet   {wallet['wallet_id']}\n"
        f"user     {wallet['user_id']}\n"
        f"status   {wallet['status']}, version {wallet['version']}"
    )
    if wallet.get("as_of"):
        head += f", as of {wallet['as_of']}"
    return (
        lines_for_terminal("\n".join([head, *parked_lines(wallet)]))
        + "\n\n"
        + table("", ("currency", *AMOUNTS), _amounts(wallet["balances"]), numbers=AMOUNTS)
    )


def _amounts(balances: Any) -> list[tuple[str, ...]]:
    """Return a row a currency, of balances that are an object by currency or a list."""
    if isinstance(balances, dict):
        balances = [{"currency": currency, **amounts} for currency, amounts in balances.items()]
    return [(amounts["currency"], *(amounts.get(name, "") for name in AMOUNTS)) for amounts in balances]


def _stored(wallet_id: str) -> Mapping[str, Any]:
    from ledger_streams.reconciliation.rocksdb_tables import (  # noqa: PLC0415 (it imports Faust)
        state_of_wallet,
        stored_wallet,
        tables_below,
    )

    home = tables_below(settings().home)
    wallet = stored_wallet(home, wallet_id)
    if wallet is None:
        raise click.ClickException(f"no worker below {home} has a wallet {wallet_id}")
    state: dict[str, Any] = msgspec.to_builtins(state_of_wallet(wallet))
    return {"wallet_id": wallet_id, **state}


@wallets.command()
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
        print_json({**first, "movements": [*movements], "next": None})
    else:
        click.echo(statement_text(first, [*movements]))


def pages(url: str, path: str, asked: Mapping[str, str | None]) -> Iterator[Mapping[str, Any]]:
    """Yield all pages; those after the first are of the period that the first one says."""
    parameters: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    while True:
        page = get_document(url, f"{path}?{urlencode({**parameters, 'limit': PAGE_MAX})}")
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


@wallets.command()
@click.argument("wallet_id")
@click.option("--by", required=True, help="Your name; it is kept in the event.")
@click.option("--reason", help="Why, of the first person; it is kept in the events.")
@click.option("--approve", is_flag=True, help="Approve what another person has proposed.")
@click.option("--wait", "wait_s", default=10.0, show_default=True, help="Seconds to wait for the answer.")
@url_option
@click.option("--json", "as_json", is_flag=True, help="Print the event as JSON.")
def reopen(  # noqa: PLR0913 (an option each)
    wallet_id: str, *, by: str, reason: str | None, approve: bool, wait_s: float, url: str, as_json: bool
) -> None:
    """Open the closed wallet WALLET_ID again, to which a payment has given money back; it takes two people.

    The first says --reason, the second, of another name, --approve. Then move the money by an
    ordinary payment and close the wallet again. An empty closed wallet is not opened. Exit code 1
    when the wallet refuses.
    """
    command = _reopening_command(wallet_id, by, reason, approve=approve)
    path = f"/v1/wallets/{quote(wallet_id, safe='')}"
    wallet = get_document(url, path)
    command_id = str(uuid4())
    run_async(_publish_reopening(command, command_id))
    event = _await_event(url, f"{path}/events", wallet["version"], command_id, wait_s)
    if event is None:
        if not approve and get_document(url, path) == wallet:
            click.echo("No event within the time: the same proposal stands, or no worker runs.", err=True)
        raise click.ClickException(f"wallet {wallet_id} has not answered within {wait_s:g} s")
    if as_json:
        print_json(event)
    if event["event_type"] == "WalletCommandRefused":
        raise click.ClickException(f"refused: {event['data']['detail']}")
    click.echo(_reopening_text(event["event_type"]), err=as_json)


def _reopening_command(wallet_id: str, by: str, reason: str | None, *, approve: bool) -> ReopeningCommand:
    if approve == (reason is not None):
        raise click.UsageError("--reason proposes and --approve approves: one of the two")
    try:
        checked_name(by, at="--")
        if reason is None:
            return ApproveReopening(WalletId(wallet_id), by)
        return ProposeReopening(WalletId(wallet_id), checked_words(reason, "--reason"), by)
    except Unreadable as error:
        raise click.UsageError(error.detail) from error


def _reopening_text(event_type: str) -> str:
    if event_type == "WalletReopened":
        return "The wallet is open. Move the money by a payment, then close the wallet."
    return "Proposed. A second person approves: `wallets reopen WALLET_ID --approve --by NAME`."


def _await_event(url: str, path: str, version: int, command_id: str, wait_s: float) -> Any:
    """Return the event that the command has caused, or None when time is up."""
    end_s = time.monotonic() + wait_s
    while time.monotonic() < end_s:
        for event in get_document(url, f"{path}?after_version={version}&limit=100")["events"]:
            if event["causation_id"] == command_id:
                return event
        time.sleep(LOOK_EVERY_S)
    return None


async def _publish_reopening(command: ReopeningCommand, command_id: str) -> None:
    config = settings()
    value = wire.encode_administrative(command, command_id=command_id, occurred_ms=int(time.time() * 1000))
    async with KafkaPublisher(
        client_options(config), clock=BrokerClock(), client_id=f"{config.app_id}-reopen"
    ) as publisher:
        await publisher.publish([Message(config.topic(topics.WALLET_COMMANDS), command.wallet_id, value)])
