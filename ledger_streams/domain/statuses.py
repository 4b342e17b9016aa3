"""Statuses of payments: the closed list of how a payment stands, as the read side and the API say it.

pending -> completed -> partially_refunded -> refunded
        -> failed
"""

from __future__ import annotations

from enum import StrEnum


class PaymentStatus(StrEnum):
    """How a payment stands."""

    PENDING = "pending"
    """Taken; goes on to completed or failed."""
    COMPLETED = "completed"
    """Carried out; goes on to partially_refunded or refunded, if refunds of it complete."""
    FAILED = "failed"
    """Not carried out, its reason says why; stays so."""
    PARTIALLY_REFUNDED = "partially_refunded"
    """Carried out, and a part of it has gone back; goes on to refunded."""
    REFUNDED = "refunded"
    """Carried out, and all of it has gone back; stays so."""
