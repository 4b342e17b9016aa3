"""`wallets`: one wallet, its statement, or a user's, live over HTTP; one also from a worker's RocksDB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click
import msgspec

from ledger_streams.cli.http import get_document, url_option
from ledger_streams.cli.output import lines_for_terminal, parked_lines, say_json, table
from ledger_streams.cli.wallet_reopening import reopen
from ledger_streams.cli.wallet_statement import statement
from ledger_streams.settings import settings

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
PAGE_MAX = 1000
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
        say_json(wallet)
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
        say_json({"user_id": user_id, "wallets": found})
        return
    columns = ("wallet_id", "status", "version", "currency", *AMOUNTS)
    rows = [
        (wallet["wallet_id"], wallet["status"], wallet["version"], *amounts)
        for wallet in found
        for amounts in _amounts(wallet["balances"])
    ]
    click.echo(table(f"Wallets of user {user_id}", columns, rows, numbers=("version", *AMOUNTS)))


wallets.add_command(statement)
wallets.add_command(reopen)


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
