"""Redis restarts with older data under a live system: no balance is older than the answer to `wait`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger_streams.settings import Settings
from tests.e2e.outside import open_wallet, pay
from tests.live import LiveSystem, eventually, running
from tests.own_redis import own_redis
from tests.own_system import own_system

pytestmark = pytest.mark.slow


def deposit(wallet: str) -> dict[str, Any]:
    return {"kind": "deposit", "target_wallet_id": wallet, "amount": "1", "currency": "EUR"}


async def balance(live: LiveSystem, wallet: str) -> tuple[str, str]:
    """Return the balance, and whether it came from the cache."""
    status, body, headers = await live.request("GET", f"/v1/wallets/{wallet}/balance")
    assert status == 200, body
    return body["balances"][0]["balance"], headers["X-Cache"]


@pytest.mark.timeout(180)
async def test_a_balance_after_wait_is_never_older_though_redis_is_restarted_from_an_older_file(
    stack: Settings, tmp_path: Path
) -> None:
    async with (
        own_redis(tmp_path / "redis") as redis,
        own_system(stack.model_copy(update={"redis": redis.url}), tmp_path) as settings,
        running(settings, workers=1) as live,
    ):
        wallet = await open_wallet(live, funds="500.00")
        assert await balance(live, wallet) == ("500.00", "hit")
        redis.keep_files()
        await pay(live, deposit(wallet))
        assert await balance(live, wallet) == ("501.00", "hit")
        redis.kill()
        redis.older_files()
        await redis.start()
        assert (await balance(live, wallet))[0] == "501.00"

        async def is_cached() -> bool:
            shown, cache = await balance(live, wallet)
            assert shown == "501.00"
            return cache == "hit"

        await eventually(is_cached, what="the balance comes from the cache again", seconds=20)
        await pay(live, deposit(wallet))
        assert (await balance(live, wallet))[0] == "502.00"
