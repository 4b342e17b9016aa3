"""BookedProvider: a payment provider with a book that answers badly, as the protocol allows it.

The book has one entry a payment, made once.  Whether the caller hears of it is another
matter: an answer is lost before or after the book was written, and some payments are never
answered at all.  Cancelling makes an entry one without effect, also where there was none.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from ledger_streams.domain.answers import ProviderApproved, ProviderDeclined, ProviderReply, ProviderTimedOut
from ledger_streams.domain.ids import PaymentId
from ledger_streams.domain.saga.commands import CancelPayment, CarryOutPayment, ProviderOrder
from tests.model.system import Booked

DECLINES, IS_MUTE, IS_LOST = 0.2, 0.15, 0.3
"""How often: a payment is declined, a payment is never answered, one answer of the others is lost."""


class BookedProvider:
    """All providers of a system; `random` makes their moods."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._approved: dict[PaymentId, Booked] = {}
        self._without_effect: dict[PaymentId, str] = {}
        self._mute: dict[PaymentId, bool] = {}

    def answer(self, order: ProviderOrder) -> ProviderReply:
        """Do what is asked, or not, and say what the caller gets to hear."""
        about = (order.payment_id, order.saga_version, order.provider, order.amount_minor, order.currency)
        is_mute = self._mute.setdefault(order.payment_id, self._chance(IS_MUTE))
        is_lost = self._chance(IS_LOST) or (is_mute and isinstance(order, CarryOutPayment))
        if is_lost and self._chance(0.5):
            return ProviderTimedOut(*about, "the question was lost")
        reply = self._cancelled(order) if isinstance(order, CancelPayment) else self._carried_out(order)
        return ProviderTimedOut(*about, "the answer was lost") if is_lost else reply

    def booked(self) -> Mapping[PaymentId, Booked]:
        """Return what has an effect."""
        return self._approved

    def has_done(self, payment_id: PaymentId) -> bool | None:
        """Return what a person reads: whether the payment has an effect; None without an entry."""
        if payment_id in self._approved:
            return True
        return False if payment_id in self._without_effect else None

    def _carried_out(self, order: CarryOutPayment) -> ProviderReply:
        payment_id, provider = order.payment_id, order.provider
        about = (payment_id, order.saga_version, provider, order.amount_minor, order.currency)
        if payment_id not in self._approved and payment_id not in self._without_effect:
            if self._chance(DECLINES):
                self._without_effect[payment_id] = "declined"
            else:
                self._approved[payment_id] = Booked(provider, order.kind, order.amount_minor, order.currency)
        if payment_id in self._without_effect:
            return ProviderDeclined(*about, "provider_declined", self._without_effect[payment_id])
        return ProviderApproved(*about, f"{provider}-{payment_id[:8]}")

    def _cancelled(self, order: CancelPayment) -> ProviderReply:
        self._approved.pop(order.payment_id, None)
        self._without_effect.setdefault(order.payment_id, "cancelled")
        about = (order.payment_id, order.saga_version, order.provider, order.amount_minor, order.currency)
        return ProviderDeclined(*about, order.reason)

    def _chance(self, share: float) -> bool:
        return self._random.random() < share
