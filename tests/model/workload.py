"""Workload: seeded steps for a System, valid and not, each with what it was meant to be.

It makes wallets with and without overdraft, in one currency or more; payments between
them and wallets that do not exist; repetitions, other content under a known id, poison
of many kinds; and it freezes, unfreezes and closes wallets while payments are under way.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from random import Random
from typing import Any
from uuid import UUID

import msgspec

from ledger_streams.domain.commands import (
    AdministrativeCommand,
    ChangeLimits,
    CloseWallet,
    FreezeWallet,
    OpenWallet,
    UnfreezeWallet,
)
from ledger_streams.domain.ids import UserId, WalletId
from ledger_streams.domain.money import format_amount
from tests.model.system import Sent

CURRENCIES = ("EUR", "USD", "JPY")


class Intent(Enum):
    """What a record is meant to be."""

    NEW = "a valid payment of a new id"
    REPEATED = "the content of a known payment again"
    MISMATCH = "other valid content under a known id"
    INVALID = "invalid content with a readable payment_id and its key"
    POISON = "a record that names no payment, or another than its key"


class Payment(msgspec.Struct, frozen=True):
    """A record for payment-events, what it is meant to be, and its content where it has some."""

    intent: Intent
    sent: Sent
    data: dict[str, Any]


Step = AdministrativeCommand | Payment


class Workload:
    """Steps made of `seed` alone; `at` is the occurred_at that requests bear."""

    def __init__(self, *, seed: int, wallets: int = 8, at: str = "2026-11-24T22:00:00Z") -> None:
        self._random = Random(seed)
        self._at = at
        self._wallets = [WalletId(self._id()) for _ in range(wallets)]
        self._nobody = [WalletId(self._id()) for _ in range(2)]
        self._first: list[dict[str, Any]] = []

    def opening(self) -> Iterator[OpenWallet]:
        """Yield what opens the wallets."""
        for wallet_id in self._wallets:
            currencies = tuple(self._random.sample(CURRENCIES, self._random.randint(1, 3)))
            limits = {c: self._random.choice([0, 500, 10**15]) for c in currencies[:1]}
            yield OpenWallet(wallet_id, UserId(self._id()), currencies, limits)

    def steps(self, count: int) -> Iterator[Step]:
        """Yield as many steps, most of them payments."""
        for _ in range(count):
            chance = self._random.random()
            if chance < 0.06:
                yield self._administration()
            elif chance < 0.70 or not self._first:
                yield self._new()
            elif chance < 0.80:
                yield self._again()
            elif chance < 0.87:
                yield self._mismatch()
            elif chance < 0.94:
                yield self._invalid()
            else:
                yield self._poison()

    def _id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def _administration(self) -> AdministrativeCommand:
        wallet_id = self._random.choice(self._wallets)
        kind = self._random.randrange(8)
        if kind < 3:
            return FreezeWallet(wallet_id, "suspicion")
        if kind < 6:
            return UnfreezeWallet(wallet_id, "cleared")
        if kind < 7:
            return ChangeLimits(wallet_id, {self._random.choice(CURRENCIES): self._random.choice([0, 900])})
        return CloseWallet(wallet_id, "left")

    def _content(self) -> dict[str, Any]:
        kind = self._random.choice(["transfer", "transfer", "deposit", "deposit", "withdrawal"])
        currency = self._random.choice(CURRENCIES)
        data: dict[str, Any] = {
            "payment_id": self._id(),
            "kind": kind,
            "amount": format_amount(self._random.randint(1, 3_000), currency),
            "currency": currency,
        }
        if kind != "deposit":
            data["source_wallet_id"] = self._wallet()
        if kind != "withdrawal":
            data["target_wallet_id"] = self._wallet()
        if self._random.random() < 0.05:
            data["provider"] = "acme"
        if self._random.random() < 0.3:
            data["metadata"] = {"note": "ünï\u0001", "n": self._random.random()}
        return data

    def _wallet(self) -> WalletId:
        return self._random.choice(self._nobody if self._random.random() < 0.08 else self._wallets)

    def _new(self) -> Payment:
        data = self._content()
        self._first.append(data)
        return self._payment(Intent.NEW, data)

    def _again(self) -> Payment:
        data = self._random.choice(self._first)
        whole, point, fraction = data["amount"].partition(".")
        short = f"{whole}.{fraction.rstrip('0')}".rstrip(".") if point else whole
        spellings = [
            data,
            {**data, "amount": short},
            {**data, "user_id": None},
            dict(reversed(data.items())),
        ]
        return self._payment(Intent.REPEATED, self._random.choice(spellings))

    def _mismatch(self) -> Payment:
        known = self._random.choice(self._first)
        other = {**self._content(), "payment_id": known["payment_id"]}
        return self._payment(Intent.MISMATCH, other)

    def _invalid(self) -> Payment:
        data = self._content()
        if self._first and self._random.random() < 0.3:
            data["payment_id"] = self._random.choice(self._first)["payment_id"]
        wrong: list[dict[str, Any]] = [
            {"amount": 1.5},
            {"amount": "-1"},
            {"amount": "0"},
            {"amount": "1.23456"},
            {"currency": "XXX"},
            {"kind": "refund"},
            {"kind": "gift"},
            {"metadata": {"x": "\0"}},
            {"user_id": "me"},
        ]
        return self._payment(Intent.INVALID, {**data, **self._random.choice(wrong)})

    def _poison(self) -> Payment:
        data = self._content()
        payment = self._payment(Intent.POISON, data)
        key, value = payment.sent.key, payment.sent.value
        assert value is not None
        ways = [
            Sent(key, None),
            Sent(key, b""),
            Sent(key, value[:-2]),
            Sent(key, b"[" * 2_000),
            Sent(key, value.replace(b'"amount"', b'"\xff"')),
            Sent(None, value),
            Sent(self._id().encode(), value),
            Sent(key, value.replace(b"PaymentRequested", b"PaymentPondered")),
            Sent(key, value.replace(data["payment_id"].encode(), b"somebody")),
        ]
        return Payment(Intent.POISON, self._random.choice(ways), data)

    def _payment(self, intent: Intent, data: dict[str, Any]) -> Payment:
        payment_id = data["payment_id"]
        record = {
            "event_id": self._id(),
            "event_type": "PaymentRequested",
            "aggregate_id": payment_id,
            "occurred_at": self._at,
            "data": data,
        }
        return Payment(intent, Sent(payment_id.encode(), msgspec.json.encode(record)), data)
