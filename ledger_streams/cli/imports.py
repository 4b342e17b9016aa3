"""`import`: bank transactions or payments from a file into the ledger."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from ledger_streams import topics
from ledger_streams.adapters.bounded_close import close_within
from ledger_streams.adapters.broker_clock import BrokerClock
from ledger_streams.adapters.kafka_publisher import KafkaPublisher
from ledger_streams.adapters.postgres_pool import create_pool
from ledger_streams.adapters.postgres_read_model import PostgresReadModel
from ledger_streams.cli.bank_rows import owner_of_account
from ledger_streams.cli.import_file import read_file
from ledger_streams.cli.import_report import report_text
from ledger_streams.cli.import_tally import ImportReport, Placed, Tally
from ledger_streams.cli.import_wallets import WantedWallet, open_wallets, overdraft_limit
from ledger_streams.cli.importing import Importer, Ledger, Pace
from ledger_streams.cli.output import awaited, json_text
from ledger_streams.cli.rows import PaymentRow
from ledger_streams.domain.money import check_currency
from ledger_streams.errors import Unreadable
from ledger_streams.kafka_settings import client_options
from ledger_streams.settings import settings


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--currency", default="CZK", show_default=True, help="Of bank transactions, which do not say.")
@click.option(
    "--overdraft", default="0", show_default=True, help="Of the wallets it opens: an amount, or `unlimited`."
)
@click.option(
    "--in-flight",
    default=2_000,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="At most, payments.",
)
@click.option(
    "--wait",
    "patience_s",
    default=60.0,
    show_default=True,
    help="Seconds without any progress, then it ends.",
)
@click.option(
    "--report",
    "report_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report as JSON.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def import_(  # noqa: PLR0913, PLR0917 (a parameter an option)
    file: Path,
    currency: str,
    overdraft: str,
    in_flight: int,
    patience_s: float,
    report_file: Path | None,
    as_json: bool,
) -> None:
    """Import FILE: a bank's transactions (CSV), or payments (JSON lines or CSV); gzip or not.

    Bank transactions: credit is a deposit, debit a withdrawal; the accounts' wallets are
    opened, and each wallet's rows are sent strictly in the file's order.  Safe to repeat:
    what has ended is not sent again.

    Exit code 0: every row has ended (refusals of the ledger are an end); 1: rows were
    unreadable or have not ended; 2: the file cannot be used.
    """
    limit = _limit(currency, overdraft)
    content = read_file(file, currency=currency)
    wallets = [
        WantedWallet(wallet_id, owner_of_account(account_id), currency, limit)
        for wallet_id, account_id in content.accounts.items()
    ]
    pace = Pace(in_flight_max=in_flight, patience_s=patience_s)
    with progress_bar(len(content.rows)) as placed:
        tally = Tally(content, placed)
        seconds = awaited(carry_out(content.rows, wallets, tally, pace))
    _say(tally.report(name=str(file), seconds=seconds), report_file=report_file, as_json=as_json)


async def carry_out(
    rows: Sequence[PaymentRow], wallets: Sequence[WantedWallet], tally: Tally, pace: Pace
) -> float:
    """Carry out the rows on the system of the settings, wallets first; return the rows' seconds."""
    config = settings()
    pool = await create_pool(config.postgres)
    read_model = PostgresReadModel(pool)
    publisher = KafkaPublisher(client_options(config), clock=BrokerClock(), client_id="ledger-import")
    ledger = Ledger(
        read_model,
        publisher,
        payment_events=config.topic(topics.PAYMENT_EVENTS),
        wallet_commands=config.topic(topics.WALLET_COMMANDS),
    )
    try:
        importer = Importer(ledger, tally, pace)
        left = await importer.not_there_yet(rows)
        lanes = {row.lane for row in left}
        missing = [wallet for wallet in wallets if wallet.wallet_id in lanes]
        tally.wallets_opened = await open_wallets(missing, ledger, patience_s=pace.patience_s)
        began_s = time.monotonic()
        await importer.carry_out(left)
        return time.monotonic() - began_s
    finally:
        await publisher.stop()
        await close_within("postgres", pool.close())


@contextmanager
def progress_bar(rows: int) -> Iterator[Placed]:
    """Show how many rows have found their place, on stderr and only for eyes."""
    console = Console(stderr=True)
    counts, left = (BarColumn(), MofNCompleteColumn(), "payments"), ("left", TimeRemainingColumn())
    with Progress(*counts, *left, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("import", total=rows)
        yield lambda count: progress.advance(task, count)


def _limit(currency: str, overdraft: str) -> str:
    try:
        return overdraft_limit(overdraft, check_currency(currency, field="--currency"))
    except Unreadable as error:
        raise click.UsageError(error.detail) from error


def _say(report: ImportReport, *, report_file: Path | None, as_json: bool) -> NoReturn:
    if report_file is not None:
        report_file.write_bytes(json_text(report).encode())
    click.echo(json_text(report) if as_json else report_text(report))
    sys.exit(report.exit_code)
