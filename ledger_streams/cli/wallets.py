"""`wallets`: show, list, statement and reopen, by HTTP requests to a worker.

`show --rocksdb` reads the tables of this machine's workers instead.  `statement` reads all
pages of the HTTP API; CSV is written page by page.  `reopen` takes two people: the first
proposes with a reason, a second approves, and both are events of the wallet.  An ordinary
payment then moves the money that had come back, and the wallet is closed again.
"""

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
"""Columns that are numbers in a spreadsheet."""
SUMS: Final = ("opening", "total_in", "total_out", "closing")
DAY_CHARACTERS: Final = len("2026-11-25")
LOOK_EVERY_S: Final = 0.2
AMOUNTS = ("available", "held", "balance", "overdraft_limit")


@click.group()
def wallets() -> None:
    """Show wallets, and reopen closed ones."""


@wallets.command()
@click.argument("wallet_id")
@url_option
@click.option("--rocksdb", is_flag=True, help="Read the RocksDB tables of this machine's workers instead.")
@json_option
def show(wallet_id: str, url: str, rocksdb: bool, as_json: bool) -> None:
    """Show the wallet WALLET_ID: status, version, balances."""
    wallet = _stored(wallet_id) if rocksdb else get_document(url, f"/v1/wallets/{quote(wallet_id, safe='')}")
    if as_json:
        print_json(wallet)
    else:
        click.echo(wallet_text(wallet))


@wallets.command("list")
@click.option("--user", "user_id", required=True, help="User id of the owner.")
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
    """Return the wallet as text."""
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
    """Return one row per currency; `balances` is an object by currency, or a list."""
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
        raise click.ClickException(
            f"no worker's tables below {home} have wallet {wallet_id[:60]!r} (see LEDGER_HOME)"
        )
    state: dict[str, Any] = msgspec.to_builtins(state_of_wallet(wallet))
    return {"wallet_id": wallet_id, **state}


@wallets.command()
@click.argument("wallet_id")
@click.option(
    "--from", "since", help="Start: a day (YYYY-MM-DD, UTC) or an RFC 3339 time.  [default: the beginning]"
)
@click.option("--to", help="End (exclusive): a day or a time.  [default: the last event]")
@click.option("--currency", help="Only movements in this currency.")
@url_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the movements as CSV.")
def statement(  # noqa: PLR0913, PLR0917 (a parameter an option)
    wallet_id: str,
    since: str | None,
    to: str | None,
    currency: str | None,
    url: str,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show the movements of the wallet WALLET_ID in a period, with opening and closing balances."""
    if as_json and as_csv:
        raise click.UsageError("use --json or --csv, not both")
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
    """Yield all pages; later pages use the period of the first, so that new events do not shift them."""
    parameters: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    while True:
        page = get_document(url, f"{path}?{urlencode({**parameters, 'limit': PAGE_MAX})}")
        yield page
        if page["next"] is None:
            return
        parameters |= {"to": page["to"], "after": page["next"]}


def statement_text(first: Mapping[str, Any], movements: Sequence[Mapping[str, Any]]) -> str:
    """Return the statement as text: the sums per currency, then one line per movement."""
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
@click.option("--by", required=True, help="Your name; it is stored in the event.")
@click.option("--reason", help="Propose the reopening for this reason; it is stored in the events.")
@click.option("--approve", is_flag=True, help="Approve another person's proposal.")
@click.option(
    "--wait",
    "wait_s",
    default=10.0,
    show_default=True,
    help="Maximum seconds to wait for the wallet's event.",
)
@url_option
@click.option("--json", "as_json", is_flag=True, help="Print the event as JSON.")
def reopen(  # noqa: PLR0913 (an option each)
    wallet_id: str, *, by: str, reason: str | None, approve: bool, wait_s: float, url: str, as_json: bool
) -> None:
    """Reopen the closed wallet WALLET_ID after a payment has returned money to it; it takes two people.

    The first person gives --reason, a second person gives --approve. Then move the money by an ordinary
    payment and close the wallet again. An empty wallet cannot be reopened. Exit code 1 if the wallet
    refuses.
    """
    command = _reopening_command(wallet_id, by, reason, approve=approve)
    path = f"/v1/wallets/{quote(wallet_id, safe='')}"
    wallet = get_document(url, path)
    command_id = str(uuid4())
    run_async(_publish_reopening(command, command_id))
    event = _await_event(url, f"{path}/events", wallet["version"], command_id, wait_s)
    if event is None:
        if not approve and get_document(url, path) == wallet:
            click.echo("No event: the wallet has this proposal already, or no worker is running.", err=True)
        raise click.ClickException(f"no event of wallet {wallet_id} within {wait_s:g} s")
    if as_json:
        print_json(event)
    if event["event_type"] == "WalletCommandRefused":
        raise click.ClickException(f"refused: {event['data']['detail']}")
    click.echo(_reopening_text(event["event_type"]), err=as_json)


def _reopening_command(wallet_id: str, by: str, reason: str | None, *, approve: bool) -> ReopeningCommand:
    if approve == (reason is not None):
        raise click.UsageError("use --reason TEXT to propose or --approve to approve, exactly one of them")
    try:
        checked_name(by, at="--")
        if reason is None:
            return ApproveReopening(WalletId(wallet_id), by)
        return ProposeReopening(WalletId(wallet_id), checked_words(reason, "--reason"), by)
    except Unreadable as error:
        raise click.UsageError(error.detail) from error


def _reopening_text(event_type: str) -> str:
    if event_type == "WalletReopened":
        return "The wallet is open. Move the money by a payment, then close the wallet again."
    return "Proposed. A second person has to approve: `wallets reopen WALLET_ID --approve --by NAME`."


def _await_event(url: str, path: str, version: int, command_id: str, wait_s: float) -> Any:
    """Return the event caused by the command; None if it does not appear within `wait_s`."""
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
