"""Auditor: derives the expected state of a settled System from the sent records alone.

It uses no code of the ledger and does its own sums.  It does not predict results that depend on
the order of payments, such as insufficient funds.  But every payment ends once, balances are the
sums of completed payments, providers have executed exactly their completed payments, and each
reason must be possible (`predictions`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from ledger_streams.domain.commands import HoldFunds, OpenWallet
from tests.model.predictions import COMPLETED, Predictions
from tests.model.system import Administration, Booked, Ended, Funds, Held, Parked, Refunded, System
from tests.model.workload import Intent, Payment

DIGITS = {"EUR": 2, "USD": 2, "JPY": 0}
BACK = {"deposit": "withdrawal", "withdrawal": "deposit", "transfer": "transfer"}


class Moved(msgspec.Struct, frozen=True):
    """A completed payment's movement; that of a refund depends on the refunded payment."""

    kind: str
    source_wallet_id: str | None
    target_wallet_id: str | None
    provider: str | None
    amount_minor: int
    currency: str


class Auditor:
    """Records every step in the order of sending, and returns the differences at the end."""

    def __init__(self, *, providers: Sequence[str] = ()) -> None:
        self._predictions = Predictions(providers)
        self._opened: dict[str, OpenWallet] = {}
        self._holds: dict[str, HoldFunds] = {}
        self._first: dict[str, Payment] = {}
        self._parked: Counter[Parked] = Counter()

    def administered(self, command: Administration) -> None:
        self._predictions.administered(command)
        if isinstance(command, OpenWallet):
            self._opened[command.wallet_id] = command
        if isinstance(command, HoldFunds):
            self._holds[command.hold_id] = command

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
        moved = self._moved(ended)
        faults = [*self._endings(ended), *self._letters(await system.dead_letters())]
        faults += [f"{len(e)} outcomes of payment {p}" for p, e in outcomes.items() if len(e) != 1]
        balances, holds = await system.balances(), await system.holds()
        faults += [*self._sums(moved, balances), *self._held(moved, balances, holds)]
        faults += self._refunded(ended, await system.refunds())
        faults += self._booked(moved, await system.booked())
        faults += [*self._accounts(await system.postings())]
        faults += [*_gaps(await system.versions())]
        faults += [f"event {event_id} was written twice" for event_id in await system.repeated_events()]
        return faults

    def _letters(self, parked: Sequence[Parked]) -> Iterator[str]:
        letters = Counter(parked)
        yield from (f"dead letter missing: {letter}" for letter in (self._parked - letters))
        yield from (f"dead letter too many: {letter}" for letter in (letters - self._parked))

    def _endings(self, ended: dict[str, Ended]) -> Iterator[str]:
        for payment_id in ended.keys() ^ self._first.keys():
            what = "never sent, has" if payment_id in ended else "has no"
            yield f"payment {payment_id} {what} outcome"
        for payment_id in ended.keys() & self._first.keys():
            end, payment = ended[payment_id], self._first[payment_id]
            possible = self._predictions.possible(payment, self._refunded_by(payment, ended))
            if (end.reason or COMPLETED) not in possible:
                yield f"payment {payment_id} ended {end.event_type} {end.reason}, not one of {possible}"
            elif end.reason is None and end.amount_minor != _minor(payment.data, end.amount_minor):
                yield f"payment {payment_id} completed with {end.amount_minor} minor units"

    def _refunded_by(self, payment: Payment, ended: Mapping[str, Ended]) -> dict[str, Any] | None:
        """Return the content of the completed payment that a refund names, if it names one."""
        of = payment.data.get("refund_of", "")
        is_completed = of in ended and ended[of].event_type == COMPLETED and of in self._first
        return self._first[of].data if is_completed else None

    def _moved(self, ended: Mapping[str, Ended]) -> dict[str, Moved]:
        """Return what each completed payment has moved."""
        moved: dict[str, Moved] = {}
        for payment_id, end in ended.items():
            if end.event_type != COMPLETED or payment_id not in self._first:
                continue
            data = self._first[payment_id].data
            paid = self._refunded_by(self._first[payment_id], ended) if data["kind"] == "refund" else data
            if paid is not None and paid["kind"] != "refund":
                moved[payment_id] = _way(paid, end.amount_minor, is_back=paid is not data)
        return moved

    def _sums(self, moved: Mapping[str, Moved], balances: Mapping[str, Mapping[str, Funds]]) -> Iterator[str]:
        """Compare each balance with what the completed payments make of it, and with its limit."""
        expected: Counter[tuple[str | None, str]] = Counter()
        for way in moved.values():
            expected[way.source_wallet_id, way.currency] -= way.amount_minor
            expected[way.target_wallet_id, way.currency] += way.amount_minor
        for wallet_id, command in self._opened.items():
            for currency in command.currencies:
                funds, should = balances.get(wallet_id, {}).get(currency), expected[wallet_id, currency]
                if funds is None or funds.available_minor + funds.held_minor != should:
                    yield f"wallet {wallet_id} has {funds} {currency}, completed payments make {should}"
                elif funds.available_minor < -self._predictions.limit_minor(wallet_id, currency):
                    yield f"wallet {wallet_id} is overdrawn by {-funds.available_minor} {currency}"
        for wallet_id in balances.keys() - self._opened.keys():
            yield f"wallet {wallet_id} was never opened"

    def _held(
        self,
        moved: Mapping[str, Moved],
        balances: Mapping[str, Mapping[str, Funds]],
        holds: Mapping[str, Held],
    ) -> Iterator[str]:
        """Compare what is held with the holds there are, and these with what was asked and captured."""
        captured: Counter[str] = Counter()
        for payment_id, way in moved.items():
            captured[self._first[payment_id].data.get("hold_id") or ""] += way.amount_minor
        del captured[""]
        sums: Counter[tuple[str, str]] = Counter()
        for hold_id, held in holds.items():
            sums[held.wallet_id, held.currency] += held.amount_minor
            asked = self._holds.get(hold_id)
            if asked is None or (asked.wallet_id, asked.currency) != (held.wallet_id, held.currency):
                yield f"nobody has asked for the hold {hold_id} of {held}"
            elif not 0 < held.amount_minor <= asked.amount_minor - captured[hold_id]:
                yield f"{hold_id} has {held.amount_minor} left of {asked}, {captured[hold_id]} are captured"
        for hold_id, minor in captured.items():
            if hold_id not in self._holds or minor > self._holds[hold_id].amount_minor:
                yield f"{minor} were captured of the hold {hold_id}"
        for wallet_id, currencies in balances.items():
            for currency, funds in currencies.items():
                if funds.held_minor != sums[wallet_id, currency]:
                    yield f"wallet {wallet_id} has {funds} {currency}, its holds make another sum"

    def _refunded(
        self, ended: Mapping[str, Ended], refunds: Mapping[str, Sequence[Refunded]]
    ) -> Iterator[str]:
        """Compare what payments were told of their refunds with the refunds that completed."""
        completed: dict[str, dict[str, int]] = defaultdict(dict)
        for payment_id, end in ended.items():
            if end.event_type == COMPLETED and payment_id in self._first:
                of = self._first[payment_id].data.get("refund_of")
                if of is not None:
                    completed[of][payment_id] = end.amount_minor
        for payment_id in completed.keys() | refunds.keys():
            told = refunds.get(payment_id, ())
            if {one.refund_id: one.amount_minor for one in told} != completed[payment_id]:
                yield f"payment {payment_id} was told of {told}, its refunds are {completed[payment_id]}"
            paid_minor = ended[payment_id].amount_minor if payment_id in ended else 0
            sum_minor = 0
            for one in told:
                sum_minor += one.amount_minor
                if (one.refunded_minor, one.paid_minor) != (sum_minor, paid_minor) or sum_minor > paid_minor:
                    yield f"payment {payment_id} of {paid_minor}: {one} is wrong, {sum_minor} are refunded"

    def _booked(self, moved: Mapping[str, Moved], booked: Mapping[str, Booked]) -> Iterator[str]:
        expected = {
            payment_id: Booked(way.provider, way.kind, way.amount_minor, way.currency)
            for payment_id, way in moved.items()
            if way.provider is not None
        }
        for payment_id in expected.keys() | booked.keys():
            has, should = booked.get(payment_id), expected.get(payment_id)
            if has != should:
                yield f"the provider has {has} of payment {payment_id}, which has moved {should}"

    def _accounts(self, postings: Mapping[str, int]) -> Iterator[str]:
        sums: Counter[str] = Counter()
        for account, minor in postings.items():
            sums[account.rpartition(":")[2]] += minor
            if account.startswith("transit:") and minor:
                yield f"{minor} are still on their way in {account}"
        for currency, minor in sums.items():
            if minor:
                yield f"postings in {currency} sum to {minor}"


def _gaps(versions: Mapping[str, Sequence[int]]) -> Iterator[str]:
    for wallet_id, own in versions.items():
        if list(own) != list(range(1, len(own) + 1)):
            yield f"wallet {wallet_id} has the versions {own}"


def _minor(data: Mapping[str, Any], left_minor: int) -> int:
    """Return the amount of a payment's content in minor units; a refund of all that is left has none."""
    if data.get("amount") is None:
        return left_minor
    return int(Decimal(data["amount"]).scaleb(DIGITS[data["currency"]]))


def _way(paid: Mapping[str, Any], amount_minor: int, *, is_back: bool) -> Moved:
    """Return the way of a payment's money, or its way back."""
    source, target = paid.get("source_wallet_id"), paid.get("target_wallet_id")
    kind, provider, currency = paid["kind"], paid.get("provider"), paid["currency"]
    if is_back:
        return Moved(BACK[kind], target, source, provider, amount_minor, currency)
    return Moved(kind, source, target, provider, amount_minor, currency)
