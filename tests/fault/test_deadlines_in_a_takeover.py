"""A thousand saga deadlines pass while the worker is dead: its successor continues each saga once."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from ledger_streams import topics
from ledger_streams.settings import Settings
from tests.e2e.outside import new_id, open_wallet, read, record, requested, send
from tests.live import LiveSystem, eventually, running
from tests.own_system import own_system
from tests.provider_stage import simulator

SAGAS: Final = 1_000
PATIENCE_MS: Final = 12_000
BEFORE_S: Final = 2.0
"""The worker is killed so long before the first deadline; the group notices after six seconds."""


async def types_of(live: LiveSystem, topic: str) -> Counter[tuple[str, str]]:
    """Count the events of a topic by payment and type."""
    envelopes = [msgspec.json.decode(kept.value) for kept in await read(live, topic)]
    return Counter((envelope["aggregate_id"], envelope["event_type"]) for envelope in envelopes)


def deposit(wallet_id: str) -> dict[str, Any]:
    money = {"amount": "1.00", "currency": "EUR", "provider": "slow"}
    return {"payment_id": new_id(), "kind": "deposit", "target_wallet_id": wallet_id, **money}


@pytest.mark.timeout(300)
async def test_a_thousand_sagas_due_during_a_takeover_expire_once_each(
    stack: Settings, tmp_path: Path
) -> None:
    async with simulator(tmp_path) as url, own_system(stack, tmp_path) as own:
        changes = {"providers": f"slow={url}", "provider_patience_ms": PATIENCE_MS}
        async with running(own.model_copy(update=changes)) as live:
            for number in "12":
                live.start("worker", number)
            live.start("projector")  # and no gateway: nobody asks the provider
            for number in "12":
                await live.ready(number)
            wallet = await open_wallet(live)
            payments = [deposit(wallet) for _ in range(SAGAS)]
            began_s = time.monotonic()
            await send(live, [record(requested(data)) for data in payments])

            async def all_ask() -> bool:
                asked = await types_of(live, topics.PROVIDER_REQUESTS)
                return len(asked) == SAGAS

            await eventually(all_ask, what="every saga has asked its provider")
            assert time.monotonic() - began_s < PATIENCE_MS / 1000 - BEFORE_S, "the machine is too slow"

            async def is_time() -> bool:
                return time.monotonic() - began_s > PATIENCE_MS / 1000 - BEFORE_S

            await eventually(is_time, what="the first deadline is near")
            live.processes["worker-1"].kill()

            async def all_cancel() -> bool:
                asked = await types_of(live, topics.PROVIDER_REQUESTS)
                return sum(kind == "CancelPayment" for _, kind in asked) == SAGAS

            await eventually(all_cancel, what="every saga has its payment cancelled", every_s=0.5)
            live.start("worker", "1")
            live.start("gateway")
            await check_ended(live, [data["payment_id"] for data in payments])


async def check_ended(live: LiveSystem, payment_ids: list[str]) -> None:
    """Check that each was asked for once, cancelled once, and has failed once."""

    async def all_have_ended() -> bool:
        (row,) = await live.rows("SELECT count(*) AS ended FROM payments WHERE reason = 'provider_timeout'")
        return bool(row["ended"] == len(payment_ids))

    await eventually(all_have_ended, what="every payment has failed", seconds=120, every_s=0.5)
    orders = await types_of(live, topics.PROVIDER_REQUESTS)
    kinds = ("CarryOutPayment", "CancelPayment")
    assert orders == {(payment_id, kind): 1 for payment_id in payment_ids for kind in kinds}
    outcomes = await types_of(live, topics.PAYMENT_EVENTS)
    assert all(outcomes[payment_id, "PaymentFailed"] == 1 for payment_id in payment_ids)
    reconciled = await live.document("reconcile", "--rocksdb", "--wait", "60")
    assert (reconciled["differences"], reconciled["lagging"]) == ([], {})
