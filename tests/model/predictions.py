"""Predictions: the ends that a payment may have, in whatever order the others came.

A certain payment has one end; a payment that depends on the order has several.  A wallet that was ever
frozen or closed may have been so just then, and money may have been short at any time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ledger_streams.domain.commands import ChangeLimits, CloseWallet, FreezeWallet, HoldFunds, OpenWallet
from tests.model.system import Administration
from tests.model.workload import Intent, Payment

COMPLETED = "PaymentCompleted"
BY_A_PROVIDER = {"provider_declined", "provider_timeout"}


class Predictions:
    """Told of every command to a wallet in the order of sending."""

    def __init__(self, providers: Sequence[str]) -> None:
        self._providers = providers
        self._currencies: dict[str, tuple[str, ...]] = {}
        self._limit_minor: Counter[tuple[str, str]] = Counter()
        self._ever: dict[str, set[type[Administration]]] = defaultdict(set)
        self._holds: dict[str, HoldFunds] = {}

    def administered(self, command: Administration) -> None:
        self._ever[command.wallet_id].add(type(command))
        if isinstance(command, OpenWallet):
            self._currencies[command.wallet_id] = command.currencies
        if isinstance(command, (OpenWallet, ChangeLimits)):
            for currency, minor in command.overdraft_limits.items():
                at = (command.wallet_id, currency)
                self._limit_minor[at] = max(self._limit_minor[at], minor)
        if isinstance(command, HoldFunds):
            self._holds[command.hold_id] = command

    def limit_minor(self, wallet_id: str, currency: str) -> int:
        """Return the highest overdraft limit there was."""
        return self._limit_minor[wallet_id, currency]

    def possible(self, payment: Payment, refunded: dict[str, Any] | None) -> set[str]:
        """Return the ends that a payment may have; `refunded` is the completed payment that it refunds."""
        if payment.intent is Intent.INVALID:
            return {"invalid"}
        if payment.data["kind"] == "refund":
            return self._refund(payment.data, refunded)
        return self._moving(payment.data)

    def _refund(self, data: dict[str, Any], paid: dict[str, Any] | None) -> set[str]:
        """Return the ends of a refund; it is invalid when it comes before its payment has completed."""
        if paid is None or paid["kind"] == "refund":
            return {"invalid"}
        if data.get("currency") not in (None, paid["currency"]):
            return {"invalid", "currency_mismatch"}
        back = {
            "source_wallet_id": paid.get("target_wallet_id"),
            "target_wallet_id": paid.get("source_wallet_id"),
            "currency": paid["currency"],
            "provider": paid.get("provider"),
        }
        ends = {"invalid", "limit_exceeded"}
        is_too_much = data.get("amount") is not None and Decimal(data["amount"]) > Decimal(paid["amount"])
        return ends if is_too_much else ends | self._moving(back)

    def _moving(self, data: dict[str, Any]) -> set[str]:
        source, target = data.get("source_wallet_id"), data.get("target_wallet_id")
        if source is not None and source == target:
            return {"same_wallet"}
        if data.get("provider") not in (None, *self._providers):
            return {"provider_unavailable"}
        ends = BY_A_PROVIDER if data.get("provider") else set[str]()
        may_go_on, refusals = self._taking(data) if source else (True, set[str]())
        if not may_go_on:
            return refusals
        return ends | refusals | (self._credit(target, data["currency"]) if target else {COMPLETED})

    def _taking(self, data: dict[str, Any]) -> tuple[bool, set[str]]:
        if data.get("hold_id"):
            return self._capture(data["source_wallet_id"], data["hold_id"], data["currency"])
        return self._deduction(data["source_wallet_id"], data["currency"])

    def _deduction(self, wallet_id: str, currency: str) -> tuple[bool, set[str]]:
        certain = self._certain_refusal(wallet_id, currency)
        if certain is not None:
            return False, {certain}
        return True, {"insufficient_funds"} | self._stopped(wallet_id)

    def _capture(self, wallet_id: str, hold_id: str, currency: str) -> tuple[bool, set[str]]:
        if wallet_id not in self._currencies:
            return False, {"wallet_not_found"}
        held = self._holds[hold_id]
        refusals = {"insufficient_funds"} | self._stopped(wallet_id)
        if held.wallet_id != wallet_id or held.currency not in self._currencies[wallet_id]:
            return False, refusals
        if held.currency != currency:
            return False, refusals | {"currency_mismatch"}
        return True, refusals

    def _stopped(self, wallet_id: str) -> set[str]:
        ever = self._ever[wallet_id]
        frozen = {"wallet_frozen"} if FreezeWallet in ever else set[str]()
        return frozen | ({"wallet_closed"} if CloseWallet in ever else set[str]())

    def _credit(self, wallet_id: str, currency: str) -> set[str]:
        certain = self._certain_refusal(wallet_id, currency)
        if certain is not None:
            return {certain}
        return {COMPLETED} | ({"wallet_closed"} if CloseWallet in self._ever[wallet_id] else set[str]())

    def _certain_refusal(self, wallet_id: str, currency: str) -> str | None:
        if wallet_id not in self._currencies:
            return "wallet_not_found"
        return None if currency in self._currencies[wallet_id] else "currency_mismatch"
