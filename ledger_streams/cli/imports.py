"""`import`: import bank transactions or payments from a file."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from ledger_streams.cli.output import json_text, table
from ledger_streams.domain.money import check_currency
from ledger_streams.errors import Unreadable
from ledger_streams.importer.bank_rows import owner_of_account
from ledger_streams.importer.file_lines import name_of
from ledger_streams.importer.import_file import read_file
from ledger_streams.importer.importer import Pace
from ledger_streams.importer.rows import UnusableFile
from ledger_streams.importer.session import import_rows, run_import
from ledger_streams.importer.tally import (
    STOPPED_EXIT_CODES,
    ImportReport,
    ReportProgress,
    Tally,
    unusable_report,
)
from ledger_streams.importer.wallets import WalletToOpen, overdraft_limit

REFUSED_ON_SCREEN_MAX: Final = 20
MEANINGS: Final = {
    "payment_id": "UUID, lower-case and hyphenated; the idempotency key of the payment",
    "kind": "transfer, deposit, withdrawal or refund",
    "amount": "decimal text like 10.25; a refund without amount returns all that is left",
    "currency": "ISO 4217 code like EUR; optional for a refund without amount",
    "source_wallet_id": "UUID of the wallet that pays, in a transfer or withdrawal",
    "target_wallet_id": "UUID of the wallet that is paid, in a transfer or deposit",
    "provider": "provider of a deposit or withdrawal; if empty, no provider is called",
    "user_id": "UUID of the user who pays",
    "hold_id": "UUID of the hold to capture, in a transfer or withdrawal without provider",
    "refund_of": "UUID of the payment to refund",
    "metadata": "JSON object, stored with the payment",
}
"""Payment fields (in CSV: columns) and their meaning."""
DELIMITERS: Final = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_NEVER_DELIMITERS: Final = frozenset('"\r\n \0')
_WIDTH: Final = max(map(len, MEANINGS))

EPILOG: Final = """\
\b
Bank transactions, CSV with a header:
  trans_id    the bank's id of the transaction, at most 100 visible characters
  account_id  the bank's id of the account, likewise; the import opens its wallet
  date        YYYY-MM-DD, e.g. 1993-01-31
  direction   credit (a deposit) or debit (a withdrawal)
  amount      decimal text like 10.25, in the currency of --currency
Ids, date and any other column are stored in the payment's metadata.

\b
  trans_id,account_id,date,direction,amount,memo
  3001,77,2026-01-31,credit,10.25,"rent, January"

\b
Payments, one JSON object per line, or CSV with a header (an empty cell is null):
""" + "\n".join(
    [
        *(f"  {name:<{_WIDTH}}  {meaning}" for name, meaning in MEANINGS.items()),
        "payment_id and kind are required, other fields depend on the kind; unknown fields are refused.",
        "",
        "\b",
        '  {"payment_id": "0b8e7e0c-9f3e-4b43-8e6a-0f6a3c0b7a11", "kind": "deposit", "amount": "10.25",',
        '   "currency": "EUR", "target_wallet_id": "6ba598a2-8b7b-5e3e-9e17-7e32484db2b7"}',
        "on one line, or",
        "  payment_id,kind,target_wallet_id,amount,currency",
        "  0b8e7e0c-9f3e-4b43-8e6a-0f6a3c0b7a11,deposit,6ba598a2-8b7b-5e3e-9e17-7e32484db2b7,10.25,EUR",
        "",
        "\b",
        "CSV is RFC 4180: quote a cell with a delimiter, a quote or a line break; double a quote inside it.",
        "An unreadable row (also one above 900,000 bytes) is reported with line, field and reason; the",
        "other rows are imported. An unreadable header, a repeated or missing column, an unclosed quote or",
        "a damaged gzip file makes the whole file unusable: nothing is sent.",
        "",
        "\b",
        "Exit codes:",
        "  0    every row has ended, completed or refused by the ledger",
        "  1    rows are unreadable or have not ended, the import stopped early (Kafka or PostgreSQL",
        "       unavailable), or the file is unusable",
        "  2    wrong usage: options, or no such file",
        "  130  interrupted (Ctrl-C); 143: terminated (SIGTERM). The report counts the payments sent.",
    ]
)
"""Help text below the options; click keeps the lines of a paragraph that begins with `\\b`."""


def delimiter_of(_context: click.Context, _option: click.Parameter, text: str) -> str:
    """Return the delimiter: the character itself, or the one that a name like `tab` stands for."""
    delimiter = DELIMITERS.get(text.lower(), text)
    if len(delimiter) != 1 or delimiter in _NEVER_DELIMITERS or delimiter.isalnum():
        raise click.BadParameter(
            f"must be one character such as ',', ';' or '|', or `tab`, got {text[:20]!r}"
        )
    return delimiter


def encoding_of(_context: click.Context, _option: click.Parameter, text: str) -> str:
    """Return the name if Python knows it as a text encoding."""
    try:
        codecs.lookup(text)
        "\n".encode(text).decode(text)
    except (LookupError, ValueError) as error:
        raise click.BadParameter(
            f"must be a text encoding such as utf-8, latin-1, cp1252 or utf-16, got {text[:60]!r} ({error})"
        ) from error
    return text


@click.command("import", epilog=EPILOG)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--currency", default="CZK", show_default=True, help="Currency of bank transactions (the file has none)."
)
@click.option(
    "--overdraft",
    default="0",
    show_default=True,
    help="Overdraft limit of the wallets it opens: an amount, or `unlimited`.",
)
@click.option(
    "--encoding",
    default="utf-8",
    show_default=True,
    callback=encoding_of,
    help="Encoding of the file: utf-8, latin-1, cp1252, utf-16, ...; it is never guessed.",
)
@click.option(
    "--delimiter",
    default=",",
    show_default=True,
    callback=delimiter_of,
    help="Delimiter of CSV cells: one character such as `;`, or `tab`.",
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
    help="Stop after this many seconds without progress.",
)
@click.option(
    "--report",
    "report_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the report to this file, as JSON.",
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
    """Import FILE: a bank's transactions (CSV) or payments (JSON lines or CSV), plain or gzip.

    FILE is UTF-8 unless --encoding is given; `-` is standard input.

    Bank transactions: credit is a deposit, debit a withdrawal. The import opens the wallets of the
    accounts and sends the rows of each wallet in the order of the file. Safe to repeat: payments that
    have ended are not sent again. The whole file is read before the first payment is sent.
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
        WalletToOpen(wallet_id, owner_of_account(account_id), currency, limit)
        for wallet_id, account_id in content.accounts.items()
    ]
    pace = Pace(in_flight_max=in_flight, patience_s=patience_s)
    with progress_bar(len(content.rows)) as placed:
        tally = Tally(content, placed)
        stopped = run_import(import_rows(content.rows, wallets, tally, pace))
    report = tally.report(name=name_of(file), seconds=tally.seconds, stopped=stopped)
    _say(report, report_file=report_file, as_json=as_json)


@contextmanager
def progress_bar(rows: int) -> Iterator[ReportProgress]:
    """Show the number of finished rows on stderr, if that is a terminal."""
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
    """Check before the import that the report can be written; report Ctrl-C while the file is read."""
    try:
        if report_file is not None:
            report_file.open("ab").close()
        yield
    except OSError as error:
        raise click.UsageError(f"--report: {report_file}: {error.strerror or error}") from error
    except KeyboardInterrupt:
        click.echo("Interrupted while reading the file; nothing was sent.", err=True)
        sys.exit(STOPPED_EXIT_CODES["interrupted"])


def _say(report: ImportReport, *, report_file: Path | None, as_json: bool) -> NoReturn:
    if not as_json:
        click.echo(report_text(report))
    _write(report, report_file=report_file, as_json=as_json)
    sys.exit(report.exit_code)


def _write(report: ImportReport, *, report_file: Path | None, as_json: bool) -> None:
    """Write the report as JSON to stdout and to --report, as requested."""
    if as_json:
        click.echo(json_text(report))
    if report_file is not None:
        try:
            report_file.write_bytes(json_text(report).encode())
        except OSError as error:
            click.echo(f"Error: --report: {report_file}: {error.strerror or error}", err=True)
            sys.exit(report.exit_code or 1)


def report_text(report: ImportReport) -> str:
    """Return the report as text: counts, totals per currency, and the first refused rows."""
    parts = [_counts(report)]
    if report.totals:
        parts.append(_totals(report))
    if report.refused:
        parts.append(_refused(report))
    return "\n\n".join(parts)


def _totals(report: ImportReport) -> str:
    kinds = ["deposits", "withdrawals", "transfers"]
    if any(total.refunds is not None for total in report.totals):
        kinds.append("refunds")
    columns = ("currency", *kinds, "net", "net, whole file")
    rows = [
        (total.currency, *(getattr(total, kind) for kind in kinds), total.net, total.net_whole_file)
        for total in report.totals
    ]
    return table("Completed", columns, rows, numbers=columns[1:])


def _counts(report: ImportReport) -> str:
    already = report.already_completed + report.already_failed
    lines = [
        f"{report.file}: {report.rows:,} rows of {report.form}",
        f"  taken              {report.taken:>10,}",
        f"  already there      {already:>10,}  ({report.already_failed:,} of them failed)",
        f"  refused by ledger  {report.refused_by_ledger:>10,}",
        f"  unreadable         {report.unreadable:>10,}",
    ]
    if report.repeated:
        lines.append(f"  repeated in file   {report.repeated:>10,}")
    if report.not_ended:
        lines.append(
            f"  NOT ENDED          {report.not_ended:>10,}  (run it again when worker and projector run)"
        )
    if report.not_ended or report.stopped:
        ended = f"{report.completed:,} completed, {report.failed:,} failed, {report.unknown:,} unknown"
        lines.append(f"  sent               {report.sent:>10,}  ({ended}; {report.not_sent:,} not sent)")
    if report.stopped:
        lines.append(f"  STOPPED: {report.stopped}; run the import again, it is safe to repeat")
    unseen = report.wallets_sent - report.wallets_opened
    told = f"  ({unseen:,} more requested)" if unseen > 0 else ""
    lines.append(f"  wallets opened     {report.wallets_opened:>10,}{told}")
    lines.append(f"  {report.seconds:.1f} s, {report.payments_per_s:,.0f} payments/s")
    return "\n".join(lines)


def _refused(report: ImportReport) -> str:
    shown = report.refused[:REFUSED_ON_SCREEN_MAX]
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in report.reasons.items())
    columns = ("line", "field", "reason", "detail")
    rows = [(row.line, row.field, row.reason, row.detail) for row in shown]
    text = table(f"Refused ({reasons})", columns, rows, numbers=("line",))
    left = len(report.refused) - len(shown)
    return f"{text}\n... and {left:,} more: use --json or --report FILE" if left else text
