"""The import against a ledger in memory: order, repetition, refusals, and a ledger without answers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ledger_streams.domain.money import parse_balance
from ledger_streams.errors import Unavailable
from ledger_streams.importer.bank_rows import owner_of_account
from ledger_streams.importer.import_file import ImportFile, read_file
from ledger_streams.importer.importer import Importer, Ledger, Pace
from ledger_streams.importer.rows import UnusableFile
from ledger_streams.importer.tally import ImportReport, Tally
from ledger_streams.importer.wallets import WalletToOpen, open_wallets, overdraft_limit
from ledger_streams.local.demo_bank import write_transactions
from tests.unit.cli_ledger import MemoryLedger

HEADER = "trans_id,account_id,date,direction,amount\n"


def written(tmp_path: Path, *lines: str, currency: str = "CZK") -> ImportFile:
    path = tmp_path / "file.csv"
    path.write_text(HEADER + "".join(line + "\n" for line in lines))
    return read_file(path, currency=currency)


def ledger_of(memory: MemoryLedger) -> Ledger:
    return Ledger(
        memory.read_model, memory, payment_events="payment-events", wallet_commands="wallet-commands"
    )


async def imported(
    file: ImportFile, memory: MemoryLedger, *, overdraft: str = "0", patience_s: float = 5.0
) -> ImportReport:
    ledger, placed = ledger_of(memory), Counter[str]()
    tally = Tally(file, lambda count: placed.update(rows=count))
    importer = Importer(ledger, tally, Pace(in_flight_max=50, patience_s=patience_s))
    left = await importer.remaining_rows(file.rows)
    wanted = [
        WalletToOpen(wallet_id, owner_of_account(account), "CZK", overdraft_limit(overdraft, "CZK"))
        for wallet_id, account in file.accounts.items()
        if wallet_id in {row.lane for row in left}
    ]
    tally.wallets_opened = await open_wallets(wanted, ledger, patience_s=patience_s)
    await importer.carry_out(left)
    report = tally.report(name="file.csv", seconds=2.0)
    assert placed["rows"] == len(file.rows) - report.not_ended
    return report


async def test_an_imported_file_ends_at_the_sum_of_its_rows_and_a_second_import_changes_nothing(
    tmp_path: Path,
) -> None:
    write_transactions(tmp_path / "bank.gz", rows=400, accounts=30)
    file, memory = read_file(tmp_path / "bank.gz", currency="CZK"), MemoryLedger()
    report = await imported(file, memory, overdraft="unlimited")
    assert (report.rows, report.taken, report.not_ended, report.exit_code) == (400, 400, 0, 0)
    assert report.wallets_opened == 30
    balances = sum(account.balance_minor for account in memory.accounts.values())
    assert parse_balance(report.totals[0].net, "CZK") == balances

    again = await imported(file, memory, overdraft="unlimited")
    assert (again.taken, again.already_completed, again.wallets_opened) == (0, 400, 0)
    assert again.totals[0].net_whole_file == report.totals[0].net
    assert len(memory.requests) == 400


async def test_a_wallet_s_rows_are_carried_out_in_the_file_s_order(tmp_path: Path) -> None:
    lines = [f"{n},7,1993-01-01,{'debit' if n % 2 else 'credit'},10.00" for n in range(10)]
    memory = MemoryLedger()
    report = await imported(written(tmp_path, *lines), memory)
    assert report.refused_by_ledger == 0
    assert [data["metadata"]["trans_id"] for data in memory.requests] == [str(n) for n in range(10)]


async def test_a_refused_payment_is_reported_with_line_and_reason(tmp_path: Path) -> None:
    lines = ("1,7,1993-01-01,credit,10.00", "2,7,1993-01-02,debit,10.01", "3,7,1993-01-03,debit,10.00")
    report = await imported(written(tmp_path, *lines), MemoryLedger())
    assert (report.taken, report.refused_by_ledger, report.exit_code) == (2, 1, 0)
    assert [(row.line, row.reason) for row in report.refused] == [(3, "insufficient_funds")]
    assert report.totals[0].net == "0.00"


async def test_an_unreadable_row_is_counted_and_makes_the_exit_code_1(tmp_path: Path) -> None:
    lines = ("1,7,1993-01-01,credit,10.00", "2,7,1993-01-02,credit,x", "3,7,1993-01-03,credit,1.00")
    report = await imported(written(tmp_path, *lines), MemoryLedger())
    assert (report.rows, report.taken, report.unreadable, report.exit_code) == (3, 2, 1, 1)


async def test_a_payment_known_with_other_content_is_a_mismatch_and_not_sent(tmp_path: Path) -> None:
    memory = MemoryLedger()
    await imported(written(tmp_path, "1,7,1993-01-01,credit,10.00"), memory)
    report = await imported(written(tmp_path, "1,7,1993-01-01,credit,99.00"), memory)
    assert [(row.line, row.reason) for row in report.refused] == [(2, "duplicate_mismatch")]
    assert (len(memory.requests), report.exit_code) == (1, 1)


async def test_an_import_gives_up_without_progress_and_reports_the_open_payments(tmp_path: Path) -> None:
    memory = MemoryLedger(ends_payments=False)
    lines = ("1,7,1993-01-01,credit,10.00", "2,7,1993-01-02,credit,1.00")
    report = await imported(written(tmp_path, *lines), memory, patience_s=0.1)
    assert (report.taken, report.not_ended, report.exit_code) == (0, 2, 1)


async def test_a_payment_that_was_pending_before_is_awaited_and_not_sent_again(tmp_path: Path) -> None:
    memory = MemoryLedger(ends_payments=False)
    file = written(tmp_path, "1,7,1993-01-01,credit,10.00")
    await imported(file, memory, patience_s=0.05)
    report = await imported(file, memory, patience_s=0.05)
    assert (len(memory.requests), report.not_ended) == (1, 1)


async def test_wallets_of_another_owner_or_currency_end_the_import_before_it_sends(tmp_path: Path) -> None:
    memory = MemoryLedger()
    file = written(tmp_path, "1,7,1993-01-01,credit,10.00")
    await imported(file, memory)
    (wallet_id,) = file.accounts
    for wanted, words in (
        (WalletToOpen(wallet_id, "somebody", "CZK", "0.00"), "belongs to user"),
        (WalletToOpen(wallet_id, owner_of_account("7"), "EUR", "0.00"), "has balances in CZK, not EUR"),
    ):
        with pytest.raises(UnusableFile, match=words):
            await open_wallets([wanted], ledger_of(memory), patience_s=1)


async def test_wallets_that_are_not_opened_end_the_import_with_a_hint() -> None:
    class Deaf(MemoryLedger):
        async def publish(self, messages: object) -> None:
            """Take them and do nothing."""

    wanted = WalletToOpen("8c5d8b38-0000-5000-8000-000000000000", "user", "CZK", "0.00")
    with pytest.raises(Unavailable, match="do worker and projector run"):
        await open_wallets([wanted], ledger_of(Deaf()), patience_s=0.1)


def test_unlimited_overdraft_is_the_largest_amount() -> None:
    assert overdraft_limit("unlimited", "CZK") == "10000000000000.00"
    assert overdraft_limit("0", "JPY") == "0"
