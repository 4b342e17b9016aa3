"""The model's workload on three brokers, with faults of one or two: the auditor finds no difference."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from ledger_streams.settings import Settings
from tests.e2e.outside import balance, ended, new_id, open_wallet
from tests.fault import cluster
from tests.fault.broker_nemeses import BROKER_NEMESES
from tests.fault.fault_scenario import Row, stood
from tests.fault.nemeses import Nemesis, name_of
from tests.fault.testbed import open_testbed, own_servers

SEED: Final = 3_993
PAYMENTS: Final = 20


@pytest.fixture(scope="module")
def servers() -> Iterator[Settings]:
    """A stack of three brokers that may be killed."""
    with own_servers(brokers=3) as settings:
        yield settings


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("number", "nemesis"), [*enumerate(BROKER_NEMESES)], ids=[name_of(nemesis) for nemesis in BROKER_NEMESES]
)
async def test_no_payment_is_lost_or_repeated_under_a_nemesis_of_the_brokers(
    servers: Settings, rows: list[Row], tmp_path: Path, number: int, nemesis: Nemesis
) -> None:
    row = await stood(servers, tmp_path, nemesis, seed=SEED + number)
    rows.append(row)
    assert row.faults == []
    assert (row.lost, row.duplicated, row.differences) == (0, 0, 0)


@pytest.mark.timeout(600)
async def test_with_two_of_three_brokers_down_callers_get_503_and_each_payment_is_made_once(
    servers: Settings, tmp_path: Path
) -> None:
    async with open_testbed(servers, tmp_path) as testbed:
        wallet_id = await open_wallet(testbed.live)
        deposit = {"kind": "deposit", "target_wallet_id": wallet_id, "amount": "1.00", "currency": "EUR"}
        payments = [deposit | {"payment_id": new_id()} for _ in range(PAYMENTS)]
        for name in testbed.brokers[1:]:
            await testbed.kill_server(name)
        try:
            posts = (testbed.live.request("POST", "/v1/payments", json=payment) for payment in payments)
            answers = await asyncio.gather(*posts)
        finally:
            await testbed.servers_up()
        assert {status for status, _, _ in answers} == {503}
        assert all(int(headers["Retry-After"]) > 0 for _, _, headers in answers)
        await cluster.in_sync(testbed)
        await testbed.live.ready("1")
        for payment in payments:
            status, answer, _ = await testbed.live.request("POST", "/v1/payments", json=payment)
            assert status in {200, 202}, answer
        for payment in payments:
            assert (await ended(testbed.live, payment["payment_id"]))["status"] == "completed"
        assert await balance(testbed.live, wallet_id) == f"{PAYMENTS}.00"
