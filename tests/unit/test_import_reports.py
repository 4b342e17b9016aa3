"""Every import ends with a report of the payments sent, also when Kafka or PostgreSQL fails."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import pytest
from click.testing import CliRunner

from ledger_streams.adapters.postgres.rows import SinkBatch
from ledger_streams.cli.imports import import_, report_text
from ledger_streams.domain.payment import FIELDS
from ledger_streams.errors import Unavailable
from ledger_streams.importer.bank_rows import owner_of_account
from ledger_streams.importer.import_file import ImportFile, read_file
from ledger_streams.importer.importer import Importer, Ledger, Pace
from ledger_streams.importer.session import run_import
from ledger_streams.importer.tally import ImportReport, Tally
from ledger_streams.importer.wallets import WalletToOpen, open_wallets
from ledger_streams.ports import Message, Outcome, PaymentView
from ledger_streams.testing.memory_read_model import MemoryReadModel
from tests.unit.cli_ledger import MemoryLedger

HEADER = "trans_id,account_id,date,direction,amount\n"
LINES = "".join(f"{number},7,2026-01-31,credit,10.00\n" for number in range(1, 5))
MAIN = "from ledger_streams.cli import main; main()"
PAYMENT, REFUND, WALLET = (str(uuid5(NAMESPACE_URL, name)) for name in ("payment", "refund", "wallet"))


class Stopping(MemoryLedger):
    """A ledger that does something else when it is given the third payment."""

    def stop(self) -> None:
        raise Unavailable(dependency="kafka", detail="no broker answers")

    async def publish(self, messages: Sequence[Message]) -> None:
        if len(self.requests) == 2:
            self.stop()
            await asyncio.sleep(60)
        await super().publish(messages)


class Silent(MemoryReadModel):
    """A read model that goes away after two payments."""

    def __init__(self) -> None:
        super().__init__()
        self._ended = 0

    async def write(self, batch: SinkBatch) -> None:
        self._ended += len(batch.payment_outcomes)
        await super().write(batch)

    async def outcomes(self, payment_ids: Sequence[str]) -> Mapping[str, Outcome]:
        if self._ended == 2:
            raise Unavailable(dependency="postgres", detail="the server has gone away")
        return await super().outcomes(payment_ids)


def imported(tmp_path: Path, memory: MemoryLedger) -> ImportReport:
    file = bank_file(tmp_path)
    ledger = Ledger(
        memory.read_model, memory, payment_events="payment-events", wallet_commands="wallet-commands"
    )
    tally = Tally(file, lambda _: None)

    async def work() -> None:
        ((wallet_id, account),) = file.accounts.items()
        wanted = WalletToOpen(wallet_id, owner_of_account(account), "CZK", "0.00")
        tally.wallets_opened = await open_wallets(
            [wanted], ledger, patience_s=1, sent=tally.wallet_commands_sent
        )
        with tally.timed():
            await Importer(ledger, tally, Pace(patience_s=0.3)).carry_out(file.rows)

    stopped = run_import(work())
    return tally.report(name="file.csv", seconds=tally.seconds, stopped=stopped)


def bank_file(tmp_path: Path) -> ImportFile:
    path = tmp_path / "file.csv"
    path.write_text(HEADER + LINES)
    return read_file(path, currency="CZK")


def counts(report: ImportReport) -> dict[str, int]:
    names = ("sent", "completed", "failed", "unreadable", "unknown", "not_sent")
    return {name: getattr(report, name) for name in names}


TWO_OF_FOUR = {"sent": 2, "completed": 2, "failed": 0, "unreadable": 0, "unknown": 1, "not_sent": 1}


def test_kafka_going_away_in_the_middle_ends_in_a_report_of_what_was_sent(tmp_path: Path) -> None:
    report = imported(tmp_path, Stopping())
    assert counts(report) == TWO_OF_FOUR
    assert (report.exit_code, report.stopped) == (1, "kafka is not available: no broker answers")
    text = report_text(report)
    assert "sent                        2  (2 completed, 0 failed, 1 unknown; 1 not sent)" in text
    assert "STOPPED: kafka is not available: no broker answers" in text


def test_postgresql_going_away_in_the_middle_ends_in_a_report_of_what_was_sent(tmp_path: Path) -> None:
    memory = MemoryLedger()
    memory.read_model = Silent()
    report = imported(tmp_path, memory)
    assert counts(report) == {**TWO_OF_FOUR, "completed": 1, "not_sent": 2}
    assert report.stopped == "postgres is not available: the server has gone away"


@pytest.mark.parametrize(
    ("number", "stopped", "code"), [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)]
)
def test_an_interrupt_ends_in_a_report_of_what_was_sent(
    tmp_path: Path, number: signal.Signals, stopped: str, code: int
) -> None:
    class Interrupted(Stopping):
        def stop(self) -> None:
            os.kill(os.getpid(), number)

    report = imported(tmp_path, Interrupted())
    assert counts(report) == TWO_OF_FOUR
    assert (report.stopped, report.exit_code) == (stopped, code)


def test_an_unexpected_error_ends_in_a_report_of_the_payments_sent(tmp_path: Path) -> None:
    class Broken(Stopping):
        def stop(self) -> None:
            raise ValueError("a driver's surprise")

    report = imported(tmp_path, Broken())
    assert (counts(report), report.stopped) == (TWO_OF_FOUR, "ValueError: a driver's surprise")


def test_wallets_to_open_are_counted_even_when_none_has_opened(tmp_path: Path) -> None:
    class Deaf(MemoryLedger):
        async def publish(self, messages: Sequence[Message]) -> None:
            """Take them and do nothing."""

    report = imported(tmp_path, Deaf())
    assert (report.wallets_sent, report.wallets_opened, report.sent, report.not_sent) == (1, 0, 0, 4)
    assert "wallets opened              0  (1 more requested)" in report_text(report)


def test_refunds_with_and_without_an_amount_are_counted_whether_they_end_now_or_had_before(
    tmp_path: Path,
) -> None:
    whole = {"payment_id": REFUND, "kind": "refund", "refund_of": PAYMENT, "metadata": None}
    part = {**whole, "payment_id": WALLET, "amount": "1.00", "currency": "EUR"}
    path = tmp_path / "refunds.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in (whole, part, whole, {**whole, "amount": "2"})))
    file = read_file(path, currency="CZK")
    assert (len(file.rows), file.repeated) == (2, 1)
    assert [(row.line, row.field) for row in file.refused] == [(4, "currency")]
    first, second = file.rows

    ended = Tally(file, lambda _: None)
    ended.ended(first, view(first.payment_id, "9.25", first.fingerprint))
    ended.ended(second, view(second.payment_id, "1.00", second.fingerprint, status="failed"))
    report = ended.report(name="refunds", seconds=1.0)
    assert (report.completed, report.failed, report.totals[0].refunds) == (1, 1, "9.25")
    assert report.totals[0].net == "-9.25"
    assert [row.detail for row in report.refused if row.reason == "limit_exceeded"] == [
        f"refund of 1.00 EUR, payment {PAYMENT}"
    ]
    assert "refunds" in report_text(report)

    before = Tally(file, lambda _: None)
    before.already(first, view(first.payment_id, "9.25", first.fingerprint))
    before.already(second, view(second.payment_id, "", second.fingerprint, status="failed"))
    before.other_content(first, view(first.payment_id, "1", "", status="failed", reason="invalid"))
    report = before.report(name="refunds", seconds=0.0)
    assert (report.already_completed, report.already_failed) == (1, 1)
    assert "could not be read" in next(row.detail for row in report.refused if row.line == 1)


def view(
    payment_id: str,
    amount: str,
    fingerprint: str,
    *,
    status: str = "completed",
    reason: str = "limit_exceeded",
) -> PaymentView:
    why = None if status == "completed" else reason
    return PaymentView(payment_id, "refund", status, why, amount, "EUR", WALLET, None, fingerprint)


def test_a_database_that_is_away_at_the_start_ends_in_a_report(tmp_path: Path) -> None:
    bank_file(tmp_path)
    command = [sys.executable, "-c", MAIN, "import", str(tmp_path / "file.csv"), "--json"]
    away = os.environ | {"LEDGER_POSTGRES": "postgresql://ledger@127.0.0.1:1/ledger"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=away)
    report = json.loads(ran.stdout)
    assert (ran.returncode, report["sent"], report["not_sent"], report["unknown"]) == (1, 0, 4, 0)
    assert report["stopped"].startswith("postgres is not available")
    assert "Traceback" not in ran.stderr


def test_an_unusable_file_is_reported_in_one_sentence_with_exit_code_1(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text(HEADER.replace("amount", "am\0ount") + LINES)
    ran = CliRunner().invoke(import_, [str(path)])
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Error: unusable file: ")
    assert len(ran.stderr.splitlines()) == 1


def test_an_unusable_file_ends_in_a_report_for_programs_too(tmp_path: Path) -> None:
    path, written = tmp_path / "file.csv", tmp_path / "report.json"
    path.write_text(HEADER.replace("date", "amount") + LINES)
    ran = CliRunner().invoke(import_, [str(path), "--json", "--report", str(written)])
    report = json.loads(ran.stdout)
    assert (ran.exit_code, report["sent"], report["rows"]) == (1, 0, 0)
    assert report["stopped"] == ran.stderr.removeprefix("Error: ").strip()
    assert "amount occurs twice" in report["stopped"]
    assert json.loads(written.read_bytes()) == report


@pytest.mark.parametrize(
    "option",
    [
        ("--encoding", "rot13"),
        ("--encoding", "no-such"),
        ("--delimiter", ",,"),
        ("--delimiter", '"'),
        ("--wait", "0"),
        ("--report", "no/such/folder/report.json"),
    ],
)
def test_invalid_options_are_an_error_of_usage(tmp_path: Path, option: tuple[str, str]) -> None:
    bank_file(tmp_path)
    ran = CliRunner().invoke(import_, [str(tmp_path / "file.csv"), *option])
    assert ran.exit_code == 2
    assert option[0] in ran.stderr


def test_help_names_columns_fields_exit_codes_and_the_encoding_with_an_example() -> None:
    told = CliRunner().invoke(import_, ["--help"]).stdout
    for word in (*FIELDS, *HEADER.strip().split(","), "--delimiter", "--encoding", "utf-8", "Exit codes"):
        assert word in told
    for number in ("0  ", "1  ", "2  ", "130"):
        assert f"\n    {number}" in told
    assert "3001,77,2026-01-31,credit,10.25" in told
    assert '{"payment_id": "' in told
