"""Tamper evidence: the projector closes the day, the audit finds a changed row, a rebuild repairs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger_streams.settings import Settings
from tests.e2e.outside import open_wallet, pay, transfer
from tests.live import LiveSystem, eventually, running
from tests.recorded import LONG_AGO, project_earlier

pytestmark = pytest.mark.slow

TOUCHED = ("events", "wallet_events")
NOTHING = "No day to close: none has ended since the last one, or another process closes it.\n"


async def verify(live: LiveSystem, *arguments: str) -> tuple[int, Any]:
    code, out, _ = await live.command("audit", "verify", "--json", *arguments)
    return code, msgspec.json.decode(out)


async def test_a_row_changed_by_hand_is_named_and_a_rebuild_restores_it(
    migrated: Settings, tmp_path: Path
) -> None:
    async with running(migrated, workers=1) as live:
        ada, bob = await open_wallet(live, funds="100.00"), await open_wallet(live)
        assert (await pay(live, transfer(ada, bob, "1.25")))["status"] == "completed"
        assert (await live.command("audit", "close"))[1] == NOTHING  # today has not ended
        live.processes["projector-1"].stop()
        await project_earlier(migrated.postgres, LONG_AGO)
        live.start("projector")

        async def closed() -> bool:
            roots = await live.document("audit", "roots")
            return bool(roots) and "is on Kafka" in live.processes["projector-1"].tail()

        await eventually(closed, what="the projector closes the day and sends its root to Kafka")
        assert await live.command("audit", "close") == (0, NOTHING, "")
        assert (await live.command("reconcile"))[0] == 0
        assert (await verify(live))[0] == 0
        event, *_ = await live.rows(
            "SELECT event_id::text AS id FROM wallet_events WHERE wallet_id = $1", bob
        )
        code, proof, _ = await live.command("audit", "proof", event["id"])
        assert code == 0
        (tmp_path / "proof.json").write_text(proof)
        assert (await live.command("audit", "check-proof", str(tmp_path / "proof.json")))[0] == 0
        (tmp_path / "forged.json").write_text(proof.replace(bob, ada))
        assert (await live.command("audit", "check-proof", str(tmp_path / "forged.json")))[0] == 1

        await live.rows("UPDATE wallet_events SET payment_id = NULL WHERE wallet_id = $1", bob)
        code, found = await verify(live, "--wallet", bob)
        assert (code, {finding["subject"] for finding in found["findings"]}) == (1, {f"wallet {bob}"})
        await live.rows("DELETE FROM events WHERE event_type = 'PaymentCompleted'")
        code, found = await verify(live)
        assert (code, {finding["table"] for finding in found["findings"]}) == (1, {*TOUCHED, "audit_roots"})
        await live.document("replay", "projections")
        assert (await verify(live))[1]["findings"] == []
