"""`import`: bank transactions or payments from a file into the ledger."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from ledger_streams import topics
from ledger_streams.adapters.postgres.pool import create_pool
from ledger_streams.adapters.postgres.read_model import PostgresReadModel
from ledger_streams.bounded_close import close_within
from ledger_streams.cli.import_options import EPILOG, delimiter_of, encoding_of
from ledger_streams.cli.import_report import report_text
from ledger_streams.cli.output import json_text
from ledger_streams.domain.money import check_currency
from ledger_streams.errors import LedgerError, Unreadable
from ledger_streams.importer.bank_rows import owner_of_account
from ledger_streams.importer.file_lines import name_of
from ledger_streams.importer.import_file import read_file
from ledger_streams.importer.importer import Importer, Ledger, Pace
from ledger_streams.importer.rows import PaymentRow, UnusableFile
from ledger_streams.importer.tally import STOPPED_EXIT_CODES, ImportReport, Placed, Tally, unusable_report
from ledger_streams.importer.wallets import WantedWallet, open_wallets, overdraft_limit
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.publisher import KafkaPublisher
from ledger_streams.kafka_settings import client_options
from ledger_streams.settings import settings


@click.command("import", epilog=EPILOG)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--currency", default="CZK", show_default=True, help="Of bank transactions, which do not say.")
@click.option(
    "--overdraft", default="0", show_default=True, help="Of the wallets it opens: an amount, or `unlimited`."
)
@click.option(
    "--encoding",
    default="utf-8",
    show_default=True,
    callback=encoding_of,
    help="Of the file: utf-8, latin-1, cp1252, utf-16, ...; nothing is guessed.",
)
@click.option(
    "--delimiter",
    default=",",
    show_default=True,
    callback=delimiter_of,
    help="Of CSV cells: one character such as `;`, or `tab`.",
)
@click.option(
    "--in-flight",
    default=2_000,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="Maximum number of payments in flight.",
)
@click.option(
    "--wait",
    "patience_s",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
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
    encoding: str,
    delimiter: str,
    in_flight: int,
    patience_s: float,
    report_file: Path | None,
    as_json: bool,
) -> None:
    """Import FILE: a bank's transactions (CSV), or payments (JSON lines or CSV); gzip or not.

    FILE is UTF-8 unless --encoding says otherwise; `-` is standard input.

    Bank transactions: credit is a deposit, debit a withdrawal; the accounts' wallets are
    opened, and each wallet's rows are sent strictly in the file's order.  Safe to repeat:
    what has ended is not sent again.  The whole file is read before anything is sent.
    """
    limit = _limit(currency, overdraft)
    with _report_to(report_file):
        try:
            content = read_file(file, currency=currency, encoding=encoding, delimiter=delimiter)
        except UnusableFile as error:
            unusable = unusable_report(name_of(file), error.format_message())
            _write(unusable, report_file=report_file, as_json=as_json)
            raise
    wallets = [
        WantedWallet(wallet_id, owner_of_account(account_id), currency, limit)
        for wallet_id, account_id in content.accounts.items()
    ]
    pace = Pace(in_flight_max=in_flight, patience_s=patience_s)
    with progress_bar(len(content.rows)) as placed:
        tally = Tally(content, placed)
        stopped = carried_out(carry_out(content.rows, wallets, tally, pace))
    report = tally.report(name=name_of(file), seconds=tally.seconds, stopped=stopped)
    _say(report, report_file=report_file, as_json=as_json)


async def carry_out(
    rows: Sequence[PaymentRow], wallets: Sequence[WantedWallet], tally: Tally, pace: Pace
) -> None:
    """Carry out the rows on the system of the settings, wallets first; the tally has the rows' seconds."""
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
        tally.wallets_opened = await open_wallets(
            missing, ledger, patience_s=pace.patience_s, sent=tally.wallet_commands_sent
        )
        with tally.timed():
            await importer.carry_out(left)
    finally:
        await publisher.stop()
        await close_within("postgres", pool.close())


def carried_out(work: Coroutine[object, object, None]) -> str | None:
    """Run the work to its end and return None, or why it has stopped before: an import always reports."""
    try:
        asyncio.run(_until_terminated(work))
    except KeyboardInterrupt:
        return "interrupted"
    except asyncio.CancelledError:
        return "terminated"
    except click.ClickException:
        raise
    except LedgerError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 (whatever it is, the report has to tell what was sent)
        return f"{type(error).__name__}: {error}"
    return None


async def _until_terminated(work: Coroutine[object, object, None]) -> None:
    task = asyncio.current_task()
    assert task is not None, "a coroutine runs in a task"
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await work


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


@contextmanager
def _report_to(report_file: Path | None) -> Iterator[None]:
    """Make sure that the report can be written, before the import begins; Ctrl-C then says what was sent."""
    try:
        if report_file is not None:
            report_file.open("ab").close()
        yield
    except OSError as error:
        raise click.UsageError(f"--report: {report_file}: {error.strerror or error}") from error
    except KeyboardInterrupt:
        click.echo("Interrupted while the file was read; nothing was sent.", err=True)
        sys.exit(STOPPED_EXIT_CODES["interrupted"])


def _say(report: ImportReport, *, report_file: Path | None, as_json: bool) -> NoReturn:
    if not as_json:
        click.echo(report_text(report))
    _write(report, report_file=report_file, as_json=as_json)
    sys.exit(report.exit_code)


def _write(report: ImportReport, *, report_file: Path | None, as_json: bool) -> None:
    """Give the report to programs, where they are to have it."""
    if as_json:
        click.echo(json_text(report))
    if report_file is not None:
        try:
            report_file.write_bytes(json_text(report).encode())
        except OSError as error:
            click.echo(f"Error: --report: {report_file}: {error.strerror or error}", err=True)
            sys.exit(report.exit_code or 1)
