"""Thousands of payments of every kind through a faulty provider: all end, and the books agree.

The test compares the provider's book with the ledger's completed payments one by one; `reconcile`
compares the rest.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID

import aiohttp
import pytest

from ledger_streams import wire
from ledger_streams.domain.ids import PaymentId
from ledger_streams.settings import Settings
from tests.e2e.outside import open_wallet, record, requested, send
from tests.fault.test_import_under_fire import Fire
from tests.live import LiveSystem, Process, eventually, running
from tests.own_system import own_system
from tests.ports import free_port

PAYMENTS: Final = 4_000
REFUNDS: Final = 1_000
WALLETS: Final = 40
SEED: Final = 11
END_S_MAX: Final = 600.0
STRETCH: Final = 250
"""Payments that end between two kills."""
# A call that fails makes the next one's wait twice as long, up to 10 minutes, and so does one that an open
# breaker kept back: with more faults than these a cancellation in some thousand outlasts END_S_MAX.
WORST: Final = {
    "--latency-ms": "5",
    "--slow-share": "0.06",
    "--slow-ms": "1500",
    "--decline-share": "0.1",
    "--error-share": "0.1",
    "--lost-share": "0.12",
    "--double-share": "0.1",
}


class Payments:
    """Seeded payments of every kind between wallets, and refunds of them."""

    def __init__(self, wallets: list[str], seed: int = SEED) -> None:
        self._random = Random(seed)
        self._wallets = wallets
        self.sent: dict[str, dict[str, Any]] = {}

    def first(self, count: int) -> Iterator[dict[str, Any]]:
        """Yield transfers, deposits and withdrawals, half of the latter two by a provider."""
        for _ in range(count):
            kind = self._random.choice(["transfer", "deposit", "withdrawal"])
            data: dict[str, Any] = {"payment_id": self._id(), "kind": kind, **self._money()}
            if kind != "deposit":
                data["source_wallet_id"] = self._random.choice(self._wallets)
            if kind != "withdrawal":
                data["target_wallet_id"] = self._random.choice(self._wallets)
            if kind != "transfer" and self._random.random() < 0.7:
                data["provider"] = "worst"
            yield self._kept(data)

    def refunds(self, count: int) -> Iterator[dict[str, Any]]:
        """Yield refunds, in part or of the rest, of payments of all kinds and ends."""
        paid = self._random.choices(list(self.sent.values()), k=count // 3)
        for _ in range(count):
            of = self._random.choice(paid)
            data = {"payment_id": self._id(), "kind": "refund", "refund_of": of["payment_id"]}
            if self._random.random() < 0.7:
                data |= {"amount": self._money(of["amount"])["amount"], "currency": "EUR"}
            yield self._kept(data)

    def _money(self, most: str = "30.00") -> dict[str, str]:
        cents = self._random.randint(1, int(Decimal(most) * 100))
        return {"amount": f"{cents / 100:.2f}", "currency": "EUR"}

    def _kept(self, data: dict[str, Any]) -> dict[str, Any]:
        self.sent[data["payment_id"]] = data
        return data

    def _id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))


@asynccontextmanager
async def at_its_worst(home: Path) -> AsyncIterator[str]:
    """Run the provider as a process of its own; yield its URL."""
    port = free_port()
    options = [text for option in WORST.items() for text in option]
    command = [sys.executable, "-m", "ledger_streams", "provider-simulator", "--port", str(port), *options]
    process = Process("simulator", command, {"LEDGER_HOME": str(home)}, home / "simulator.log")
    process.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stop()


@asynccontextmanager
async def system(stack: Settings, home: Path) -> AsyncIterator[LiveSystem]:
    """Two workers, a gateway and a projector, and the provider."""
    async with at_its_worst(home) as url, own_system(stack, home) as own:
        changes = {
            "providers": f"worst={url}",
            "provider_timeout_ms": 500,
            "provider_patience_ms": 20_000,
            "breaker_failures_max": 20,
            "breaker_open_s": 1,
        }
        async with running(own.model_copy(update=changes), workers=2) as live:
            yield live


async def sent_and_ended(live: LiveSystem, payments: list[dict[str, Any]], fire: Fire | None) -> None:
    """Send the payments as gateways do and wait for the end of each, killing meanwhile."""
    already = await live.ended_payments()
    burning = asyncio.create_task(burn(fire)) if fire is not None else None
    for begin in range(0, len(payments), 200):
        await send(live, [record(requested(data)) for data in payments[begin : begin + 200]])

    async def all_ended() -> bool:
        return await live.ended_payments() == already + len(payments)

    await eventually(all_ended, what="every payment has ended", seconds=END_S_MAX, every_s=0.5)
    if burning is not None:
        burning.cancel()
        await asyncio.wait({burning})
        assert burning.cancelled() or burning.exception() is None, burning.exception()


async def burn(fire: Fire) -> None:
    """Kill gateway and workers, one after the other, as long as there is something under way."""
    while True:
        for name in ("gateway-1", "worker-1", "gateway-1", "worker-2"):
            await fire.further(STRETCH)
            await fire.kill(name)


async def check_books(live: LiveSystem, payments: Payments) -> Counter[str]:
    """Compare the provider's book with the ledger, payment by payment; return how the payments ended."""
    async with aiohttp.ClientSession() as session:
        url = live.settings.provider_urls["worst"]
        async with session.get(f"{url}/book?keys=1") as answer:
            book = {row["key"]: Decimal(row["amount"]) for row in (await answer.json())["keys"]}
    rows = await live.rows("SELECT payment_id::text, kind, status, reason, amount FROM payments")
    ledger = {row["payment_id"]: row for row in rows if row["payment_id"] in payments.sent}
    assert ledger.keys() == payments.sent.keys()
    through = {
        wire.idempotency_key(PaymentId(payment_id)): Decimal(row["amount"])
        for payment_id, row in ledger.items()
        if row["status"] not in ("failed", "pending") and is_by_provider(payments.sent, payment_id)
    }
    assert through == book
    return Counter(f"{row['kind']} {row['reason'] or row['status']}" for row in ledger.values())


def is_by_provider(sent: dict[str, dict[str, Any]], payment_id: str) -> bool:
    data = sent[payment_id]
    return sent[data.get("refund_of", payment_id)].get("provider") is not None


async def check_refunds(live: LiveSystem, payments: Payments) -> None:
    """No payment is refunded by more than was paid, and what is refunded is what its refunds say."""
    rows = await live.rows(
        "SELECT payment_id::text, kind, status, amount, refunded FROM payments ORDER BY payment_id"
    )
    sums: Counter[str] = Counter()
    for row in rows:
        if row["kind"] == "refund" and row["status"] == "completed":
            sums[payments.sent[row["payment_id"]]["refund_of"]] += row["amount"]
    assert sums, "no refund was carried out"
    for row in rows:
        if row["payment_id"] in payments.sent and row["kind"] != "refund":
            refunded = sums[row["payment_id"]]
            assert (row["refunded"] or 0) == refunded <= row["amount"], row
            if refunded:
                whole = refunded == row["amount"]
                assert row["status"] == ("refunded" if whole else "partially_refunded")


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("killed", [False, True], ids=["left alone", "killed all the while"])
async def test_mixed_payments_all_end_and_the_provider_s_book_agrees_to_the_cent(
    stack: Settings, tmp_path: Path, killed: bool
) -> None:
    async with system(stack, tmp_path) as live:
        wallets = [await open_wallet(live, funds="500.00") for _ in range(WALLETS)]
        payments, began_s = Payments(wallets), time.monotonic()
        fire = Fire(live) if killed else None
        await sent_and_ended(live, list(payments.first(PAYMENTS)), fire)
        await sent_and_ended(live, list(payments.refunds(REFUNDS)), fire)
        ends = await check_books(live, payments)
        faults = dict(fire.counts) if fire is not None else "no faults"
        print(f"\n{PAYMENTS + REFUNDS:,} payments in {time.monotonic() - began_s:.0f} s; {faults}; {ends}")
        await check_refunds(live, payments)
        reconciled = await live.document("reconcile", "--rocksdb", "--wait", "60")
        assert (reconciled["differences"], reconciled["lagging"]) == ([], {})
