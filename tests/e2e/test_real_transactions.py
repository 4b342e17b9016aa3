"""A bank's real transactions of fifteen months, through wallets that may not be overdrawn.

The figures are worked out here, row by row in the file's order, with nothing of the
project; data/README.md says what they must be.
"""

from __future__ import annotations

import csv
import gzip
import uuid
from decimal import Decimal
from pathlib import Path

import pytest

from ledger_streams.settings import Settings
from tests.live import running
from tests.own_system import own_system

NS = uuid.UUID("4ae1f559-ee5c-5076-ba59-1ab5386f97ef")


def carried_out(path: Path) -> tuple[dict[str, Decimal], list[int]]:
    """Return each wallet's balance in the end, and the lines of the rows that no wallet could pay."""
    balances: dict[str, Decimal] = {}
    refused: list[int] = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            wallet_id = str(uuid.uuid5(NS, f"account:{row['account_id']}"))
            before, amount = balances.get(wallet_id, Decimal(0)), Decimal(row["amount"])
            after = before + amount if row["direction"] == "credit" else before - amount
            if after < 0:
                refused.append(line)
            balances[wallet_id] = before if after < 0 else after
    return balances, refused


@pytest.mark.timeout(600)
async def test_without_overdraft_25_debits_are_refused_and_every_balance_is_exact(
    stack: Settings, tmp_path: Path, bank_data: Path
) -> None:
    balances, refused = carried_out(bank_data)
    assert (len(refused), len(balances), sum(balances.values())) == (25, 725, Decimal("23620440.30"))
    async with own_system(stack, tmp_path) as settings, running(settings, workers=2) as live:
        report = await live.document("import", str(bank_data), "--overdraft", "0")
        assert (report["rows"], report["taken"], report["not_ended"]) == (29_465, 29_440, 0)
        assert report["reasons"] == {"insufficient_funds": 25}
        assert [row["line"] for row in report["refused"]] == refused
        assert report["totals"][0]["net"] == "23620440.30"

        reconciled = await live.document("reconcile", "--rocksdb")
        assert (reconciled["wallets"], reconciled["totals"]) == (725, {"CZK": "23620440.30"})
        rows = await live.rows(
            "SELECT wallet_id::text, (balances->'CZK'->>'balance')::numeric AS balance FROM wallet_snapshots"
        )
        assert {row["wallet_id"]: row["balance"] for row in rows} == balances
        print(f"\n{report['payments_per_s']:.0f} payments/s, {report['seconds']:.0f} s")
