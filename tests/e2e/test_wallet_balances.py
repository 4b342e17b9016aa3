"""wallet_balances in a live system: one of two projectors refreshes it; after its end the other does."""

from __future__ import annotations

from ledger_streams.settings import Settings
from tests.e2e.outside import open_wallet, pay, transfer
from tests.live import LiveSystem, Process, eventually, running

DONE = "Refreshed wallet_balances in"


async def in_view(live: LiveSystem, wallet_id: str) -> str | None:
    rows = await live.rows(
        "SELECT current_balance::text AS balance FROM wallet_balances WHERE wallet_id = $1", wallet_id
    )
    return rows[0]["balance"] if rows else None


async def test_a_projector_refreshes_the_view_when_due_and_another_takes_over_after_its_end(
    migrated: Settings,
) -> None:
    often = migrated.model_copy(update={"balances_refresh_s": 1})
    async with running(often, workers=1) as live:
        projectors = [live.processes["projector-1"], live.start("projector", "2")]
        ada, bob = await open_wallet(live, funds="10.00"), await open_wallet(live)

        async def who_does_it() -> Process | None:
            return next((one for one in projectors if DONE in one.log.read_text()), None)

        first = await eventually(who_does_it, what="a projector has refreshed the view")
        first.kill()
        assert (await pay(live, transfer(ada, bob, "2.50")))["status"] == "completed"

        async def are_there() -> bool:
            return [await in_view(live, wallet) for wallet in (ada, bob)] == ["7.50", "2.50"]

        await eventually(are_there, what="the view has the payment")
        assert (await live.command("reconcile"))[0] == 0


async def test_a_projector_with_refreshes_switched_off_never_refreshes(migrated: Settings) -> None:
    async with running(migrated.model_copy(update={"balances_refresh_s": 0}), workers=1) as live:
        (before,) = await live.rows("SELECT refreshed_at FROM wallet_balances_refreshed")
        await open_wallet(live, funds="10.00")
        live.processes["projector-1"].stop()
        (after,) = await live.rows("SELECT refreshed_at FROM wallet_balances_refreshed")
        assert after == before
