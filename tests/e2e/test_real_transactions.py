"""A bank's real transactions of fifteen months, through wallets that may not be overdrawn."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from ledger_streams.settings import Settings
from tests.bank_file import carried_out
from tests.live import running
from tests.own_system import own_system

pytestmark = pytest.mark.slow


@pytest.mark.timeout(600)
async def test_without_overdraft_25_debits_are_refused_and_every_balance_is_exact(
    stack: Settings, tmp_path: Path, bank_data: Path
) -> None:
    balances, refused = carried_out(bank_data, overdraft=False)
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
