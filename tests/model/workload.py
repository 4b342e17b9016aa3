"""Workload: seeded valid and invalid steps for a System, each with its purpose.

It makes wallets with and without overdraft, in one currency or more; payments between
them and wallets that do not exist; repetitions, other content under a known id, poison
of many kinds; and it freezes, unfreezes and closes wallets while payments are under way.
Callers hold money, and payments capture it; payments are refunded, in part and too much.
Payments by a provider are made where the system has one, `providers` names them, and a few
by one that nobody has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from random import Random
from typing import Any
from uuid import UUID

import msgspec

from ledger_streams import wire
from ledger_streams.domain.commands import (
    AdministrativeCommand,
    ChangeLimits,
    CloseWallet,
    FreezeWallet,
    HoldFunds,
    OpenWallet,
    ReleaseHold,
    UnfreezeWallet,
)
from ledger_streams.domain.ids import HoldId, UserId, WalletId
from ledger_streams.domain.money import format_amount
from tests.model.system import Administration, Sent

CURRENCIES = ("EUR", "USD", "JPY")
LATELY = 5
"""Of how many last holds a payment chooses one, so that several are after the same."""
EXPIRES_AFTER_MS = (1, 2_000, 600_000, None, None)
"""Before anything can be done with it, while payments are under way, perhaps never, never."""


class Intent(Enum):
    """The purpose of a record."""

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


Step = Administration | Payment


class Workload:
    """Steps made of `seed` alone; `at` is the occurred_at that requests bear, and when holds are made."""

    def __init__(
        self,
        *,
        seed: int,
        wallets: int = 8,
        at: str = "2026-11-24T22:00:00Z",
        providers: Sequence[str] = (),
    ) -> None:
        self._random = Random(seed)
        self._at = at
        self._at_ms = wire.time_ms(wire.parse_time(at))
        self.providers = providers
        self._wallets = [WalletId(self._id()) for _ in range(wallets)]
        self._nobody = [WalletId(self._id()) for _ in range(2)]
        self._first: list[dict[str, Any]] = []
        self._currencies: dict[WalletId, tuple[str, ...]] = {}
        self._holds: list[HoldFunds] = []

    def opening(self) -> Iterator[OpenWallet]:
        """Yield what opens the wallets."""
        for wallet_id in self._wallets:
            currencies = tuple(self._random.sample(CURRENCIES, self._random.choice([1, 2, 3, 3])))
            self._currencies[wallet_id] = currencies
            limits = {c: self._random.choice([0, 500, 10**15]) for c in currencies[:1]}
            yield OpenWallet(wallet_id, UserId(self._id()), currencies, limits)

    def steps(self, count: int) -> Iterator[Step]:
        """Yield as many steps, most of them payments."""
        for _ in range(count):
            chance = self._random.random()
            if chance < 0.06:
                yield self._administration()
            elif chance < 0.14:
                yield from self._holding()
            elif chance < 0.60 or not self._first:
                yield self._new(self._content())
            elif chance < 0.70:
                paid = self._random.choice(self._first)
                for _ in range(self._random.randint(1, 3)):
                    yield self._new(self._refund(paid))
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

    def _holding(self) -> Iterator[HoldFunds | ReleaseHold]:
        """Yield a caller's hold, at times asked for twice, or the release of one."""
        if self._holds and self._random.random() < 0.25:
            held = self._random.choice(self._holds)
            yield ReleaseHold(held.wallet_id, held.hold_id, "changed my mind")
            return
        after_ms = self._random.choice(EXPIRES_AFTER_MS)
        held = HoldFunds(
            self._wallet(),
            HoldId(self._id()),
            self._random.randint(1, 1_000),
            self._random.choice(CURRENCIES),
            expires_ms=None if after_ms is None else self._at_ms + after_ms,
        )
        self._holds.append(held)
        yield held
        if held.expires_ms is None and self._random.random() < 0.3:
            yield held

    def _content(self) -> dict[str, Any]:
        """Return a payment that is no refund."""
        kind = self._random.choice(["transfer", "transfer", "deposit", "deposit", "withdrawal"])
        source, target = self._wallet(), self._wallet()
        fitting = self._currencies.get(target if kind == "deposit" else source, CURRENCIES)
        currency = self._random.choice(fitting if self._random.random() < 0.8 else CURRENCIES)
        data: dict[str, Any] = {
            "payment_id": self._id(),
            "kind": kind,
            "amount": format_amount(self._random.randint(1, 3_000), currency),
            "currency": currency,
        }
        if kind != "deposit":
            data["source_wallet_id"] = source
        if kind != "withdrawal":
            data["target_wallet_id"] = target
        if kind != "transfer" and self._random.random() < 0.05:
            data["provider"] = "nobody"
        elif self.providers and kind != "transfer" and self._random.random() < 0.5:
            data["provider"] = self._random.choice(self.providers)
        elif self._holds and kind != "deposit" and self._random.random() < 0.3:
            self._out_of_a_hold(data, self._random.choice(self._holds[-LATELY:]))
        if self._random.random() < 0.3:
            data["metadata"] = {"note": "ünï\u0001", "n": self._random.random()}
        return data

    def _out_of_a_hold(self, data: dict[str, Any], held: HoldFunds) -> None:
        """Have the payment capture a hold, mostly a fitting one, in whole, in part, or too much."""
        data["hold_id"] = held.hold_id
        if self._random.random() < 0.9:
            data["source_wallet_id"], data["currency"] = held.wallet_id, held.currency
            asked_minor = held.amount_minor
            minor = self._random.choice([asked_minor, asked_minor + 1, (asked_minor + 1) // 2])
            data["amount"] = format_amount(minor, held.currency)

    def _refund(self, paid: dict[str, Any]) -> dict[str, Any]:
        """Return a refund of a payment: of all that is left, of a part, of too much."""
        data = {"payment_id": self._id(), "kind": "refund", "refund_of": paid["payment_id"]}
        chance = self._random.random()
        if chance < 0.05:
            data["refund_of"] = self._id()
        if chance < 0.35 or "amount" not in paid:
            return data
        currency = self._random.choice(CURRENCIES) if chance > 0.95 else paid["currency"]
        minor = self._random.randint(1, 3_000) if chance > 0.8 else self._random.randint(1, 400)
        return {**data, "amount": format_amount(minor, currency), "currency": currency}

    def _wallet(self) -> WalletId:
        return self._random.choice(self._nobody if self._random.random() < 0.08 else self._wallets)

    def _new(self, data: dict[str, Any]) -> Payment:
        self._first.append(data)
        return self._payment(Intent.NEW, data)

    def _again(self) -> Payment:
        data = self._random.choice(self._first)
        spellings = [data, {**data, "user_id": None}, dict(reversed(data.items()))]
        if "amount" in data:
            whole, point, fraction = data["amount"].partition(".")
            short = f"{whole}.{fraction.rstrip('0')}".rstrip(".") if point else whole
            spellings.append({**data, "amount": short})
        return self._payment(Intent.REPEATED, self._random.choice(spellings))

    def _mismatch(self) -> Payment:
        known = self._random.choice(self._first)
        other = {**self._content(), "payment_id": known["payment_id"]}
        if other == known:  # two payments after one hold may be alike
            other["metadata"] = {"note": "another"}
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
            {"refund_of": self._id()},
            {"hold_id": "mine"},
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
