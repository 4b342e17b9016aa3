"""Auditor: says from what was sent alone what must hold once a System has settled.

It knows no code of the ledger: it does its own sums, in its own way.  What the order of
payments decides (who is short of money) it does not foretell; but every payment ends
once, balances are the sum of what was completed, and each reason must be a possible one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from ledger_streams.domain.commands import (
    AdministrativeCommand,
    ChangeLimits,
    CloseWallet,
    FreezeWallet,
    OpenWallet,
)
from tests.model.system import Ended, Parked, System
from tests.model.workload import Intent, Payment

DIGITS = {"EUR": 2, "USD": 2, "JPY": 0}
COMPLETED = "PaymentCompleted"


class Auditor:
    """Told of every step in the order of sending; then asked for what is wrong."""

    def __init__(self) -> None:
        self._currencies: dict[str, tuple[str, ...]] = {}
        self._limit_minor: Counter[tuple[str, str]] = Counter()
        self._ever: dict[str, set[type[AdministrativeCommand]]] = defaultdict(set)
        self._first: dict[str, Payment] = {}
        self._parked: Counter[Parked] = Counter()

    def administered(self, command: AdministrativeCommand) -> None:
        self._ever[command.wallet_id].add(type(command))
        if isinstance(command, OpenWallet):
            self._currencies[command.wallet_id] = command.currencies
        if isinstance(command, (OpenWallet, ChangeLimits)):
            for currency, minor in command.overdraft_limits.items():
                at = (command.wallet_id, currency)
                self._limit_minor[at] = max(self._limit_minor[at], minor)

    def sent(self, payment: Payment) -> None:
        reason = {Intent.MISMATCH: "duplicate_mismatch", Intent.INVALID: "invalid", Intent.POISON: "invalid"}
        if payment.intent in reason:
            self._parked[Parked(payment.sent.key, payment.sent.value, reason[payment.intent])] += 1
        if payment.intent in (Intent.NEW, Intent.INVALID):
            self._first.setdefault(payment.data["payment_id"], payment)

    async def faults(self, system: System) -> list[str]:
        """Return what is wrong with the settled system; an empty list is what is wanted."""
        outcomes = await system.outcomes()
        ended = {payment_id: ends[0] for payment_id, ends in outcomes.items()}
        faults = [*self._endings(ended)]
        faults += [f"{len(e)} outcomes of payment {p}" for p, e in outcomes.items() if len(e) != 1]
        letters = Counter(await system.dead_letters())
        faults += [f"dead letter missing: {letter}" for letter in (self._parked - letters)]
        faults += [f"dead letter too many: {letter}" for letter in (letters - self._parked)]
        faults += self._sums(ended, {w: dict(b) for w, b in (await system.balances()).items()})
        postings = await system.postings()
        faults += [*self._accounts(dict(postings))]
        return faults

    def _endings(self, ended: dict[str, Ended]) -> Iterator[str]:
        for payment_id in ended.keys() ^ self._first.keys():
            what = "never sent, has" if payment_id in ended else "has no"
            yield f"payment {payment_id} {what} outcome"
        for payment_id in ended.keys() & self._first.keys():
            end, possible = ended[payment_id], self._possible(self._first[payment_id])
            if (end.reason or COMPLETED) not in possible:
                yield f"payment {payment_id} ended {end.event_type} {end.reason}, not one of {possible}"

    def _possible(self, payment: Payment) -> set[str]:
        """Return the ends that a payment may have had, in whatever order the others came."""
        if payment.intent is Intent.INVALID:
            return {"invalid"}
        data = payment.data
        source, target = data.get("source_wallet_id"), data.get("target_wallet_id")
        if source is not None and source == target:
            return {"same_wallet"}
        if data.get("provider"):
            return {"provider_unavailable"}
        may_go_on, ends = self._deduction(source, data["currency"]) if source else (True, set())
        if may_go_on:
            ends |= self._credit(target, data["currency"]) if target else {COMPLETED}
        return ends

    def _deduction(self, wallet_id: str, currency: str) -> tuple[bool, set[str]]:
        certain = self._certain_refusal(wallet_id, currency)
        if certain is not None:
            return False, {certain}
        ends = {"insufficient_funds"}
        ends |= {"wallet_frozen"} if FreezeWallet in self._ever[wallet_id] else set()
        ends |= {"wallet_closed"} if CloseWallet in self._ever[wallet_id] else set()
        return True, ends

    def _credit(self, wallet_id: str, currency: str) -> set[str]:
        certain = self._certain_refusal(wallet_id, currency)
        if certain is not None:
            return {certain}
        return {COMPLETED} | ({"wallet_closed"} if CloseWallet in self._ever[wallet_id] else set())

    def _certain_refusal(self, wallet_id: str, currency: str) -> str | None:
        if wallet_id not in self._currencies:
            return "wallet_not_found"
        return None if currency in self._currencies[wallet_id] else "currency_mismatch"

    def _sums(self, ended: dict[str, Ended], balances: dict[str, dict[str, int]]) -> Iterator[str]:
        """Compare each balance with what the completed payments make of it, and with its limit."""
        expected: Counter[tuple[str, str]] = Counter()
        for payment_id, end in ended.items():
            if end.event_type == COMPLETED and payment_id in self._first:
                expected.update(_effects(self._first[payment_id].data))
        for wallet_id, currencies in self._currencies.items():
            for currency in currencies:
                has, should = balances.get(wallet_id, {}).get(currency), expected[wallet_id, currency]
                if has != should:
                    yield f"wallet {wallet_id} has {has} {currency}, completed payments make {should}"
                if has is not None and has < -self._limit_minor[wallet_id, currency]:
                    yield f"wallet {wallet_id} is overdrawn by {-has} {currency}"
        for wallet_id in balances.keys() - self._currencies.keys():
            yield f"wallet {wallet_id} was never opened"

    def _accounts(self, postings: dict[str, int]) -> Iterator[str]:
        sums: Counter[str] = Counter()
        for account, minor in postings.items():
            sums[account.rpartition(":")[2]] += minor
            if account.startswith("transit:") and minor:
                yield f"{minor} are still on their way in {account}"
        for currency, minor in sums.items():
            if minor:
                yield f"postings in {currency} sum to {minor}"


def _effects(data: dict[str, Any]) -> dict[tuple[str, str], int]:
    """Return what a completed payment does to the wallets, in minor units."""
    currency = data["currency"]
    minor = int(Decimal(data["amount"]).scaleb(DIGITS[currency]))
    effects: Counter[tuple[str, str]] = Counter()
    if data.get("source_wallet_id"):
        effects[data["source_wallet_id"], currency] -= minor
    if data.get("target_wallet_id"):
        effects[data["target_wallet_id"], currency] += minor
    return effects
