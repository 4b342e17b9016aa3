"""Statements of real accounts: each month's closing balance equals the bank's own.

An imported payment occurs when it is imported; the bank's date is in its metadata.  So
the months are imported one by one, and a month's statement is of the time in between.
"""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from ledger_streams.importer.bank_rows import wallet_of_account
from ledger_streams.settings import Settings
from tests.live import LiveSystem, running
from tests.own_system import own_system

pytestmark = pytest.mark.slow

MONTHS = ("1993-03", "1993-04", "1993-05", "1993-06")
ACCOUNTS = 12
Rows = list[dict[str, str]]


def accounts_without_rounding(path: Path) -> dict[str, Rows]:
    """Return the first accounts which at each month's end have what the bank says, never below zero."""
    accounts: dict[str, Rows] = {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["date"][:7] <= MONTHS[-1]:
                accounts.setdefault(row["account_id"], []).append(row)
    exact = {account: rows for account, rows in accounts.items() if is_exact(rows)}
    return dict([*exact.items()][:ACCOUNTS])


def is_exact(rows: Rows) -> bool:
    balance, ends, lowest = Decimal(0), {}, Decimal(0)
    for row in rows:
        balance += signed(row)
        lowest = min(lowest, balance)
        ends[row["date"][:7]] = balance == Decimal(row["balance"])
    return lowest >= 0 and len(ends) > 2 and all(ends.values())


def signed(row: dict[str, str]) -> Decimal:
    return Decimal(row["amount"]) * (1 if row["direction"] == "credit" else -1)


async def imported(live: LiveSystem, rows: Rows, file: Path) -> str:
    """Import the rows, and return a time after all of them."""
    with file.open("w", encoding="utf-8") as out:
        writer = csv.DictWriter(out, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    report = await live.document("import", str(file), "--overdraft", "0")
    assert (report["taken"], report["not_ended"]) == (len(rows), 0)
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.timeout(600)
async def test_each_month_closes_with_the_bank_s_own_balance(
    stack: Settings, tmp_path: Path, bank_data: Path
) -> None:
    accounts = accounts_without_rounding(bank_data)
    assert len(accounts) == ACCOUNTS
    everything = sorted((row for rows in accounts.values() for row in rows), key=lambda row: row["date"])
    async with own_system(stack, tmp_path) as settings, running(settings, workers=1) as live:
        until = ["2000-01-01T00:00:00Z"]
        for number, month in enumerate(MONTHS):
            earlier = MONTHS[number - 1] if number else ""
            rows = [row for row in everything if earlier < row["date"][:7] <= month]
            until.append(await imported(live, rows, tmp_path / f"{month}.csv"))
        compared = 0
        for account, rows in accounts.items():
            for number, month in enumerate(MONTHS):
                since, to = until[number], until[number + 1]
                earlier = MONTHS[number - 1] if number else ""
                ours = [row for row in rows if earlier < row["date"][:7] <= month]
                compared += await agrees(live, account, ours, since, to)
        assert compared > 2 * ACCOUNTS
        await is_printed(live, accounts)


async def agrees(live: LiveSystem, account: str, rows: Rows, since: str, to: str) -> int:
    """Compare a month's statement with the bank's rows of it; return how many balances were compared."""
    path = f"/v1/wallets/{wallet_of_account(account)}/statement?from={since}&to={to}&limit=1000"
    status, page, _ = await live.request("GET", path)
    if not rows:
        assert status == 404 or page["movements"] == []
        return 0
    (sums,) = page["sums"]
    assert sums["closing"] == rows[-1]["balance"]
    assert Decimal(sums["opening"]) == Decimal(rows[-1]["balance"]) - sum(map(signed, rows))
    assert [Decimal(movement["amount"]) for movement in page["movements"]] == [*map(signed, rows)]
    assert [movement["metadata"]["date"] for movement in page["movements"]] == [row["date"] for row in rows]
    return 1


async def is_printed(live: LiveSystem, accounts: dict[str, Rows]) -> None:
    """Ask for one account on the command line, as CSV, JSON and text."""
    account, rows = next(iter(accounts.items()))
    url = ("--url", f"http://127.0.0.1:{live.ports['worker-1']}")
    asked = ("wallets", "statement", wallet_of_account(account), "--from", "2000-01-01", *url)
    code, out, err = await live.command(*asked, "--csv")
    assert code == 0, err
    lines = [*csv.DictReader(out.splitlines())]
    assert [(line["date"], Decimal(line["amount"])) for line in lines] == [
        (row["date"], signed(row)) for row in rows
    ]
    document = await live.document(*asked)
    assert (document["sums"][0]["closing"], len(document["movements"])) == (rows[-1]["balance"], len(rows))
    _, text, _ = await live.command(*asked)
    assert rows[-1]["balance"] in text
