"""Statuses of payments: the closed list that the read model and the API use.

pending -> completed -> partially_refunded -> refunded
        -> failed
"""

from __future__ import annotations

from enum import StrEnum


class PaymentStatus(StrEnum):
    """The status of a payment."""

    PENDING = "pending"
    """Accepted; becomes completed or failed."""
    COMPLETED = "completed"
    """Executed; becomes partially_refunded or refunded when refunds of it complete."""
    FAILED = "failed"
    """Not executed, with a reason; final."""
    PARTIALLY_REFUNDED = "partially_refunded"
    """Executed and refunded in part; may become refunded."""
    REFUNDED = "refunded"
    """Executed and refunded in full; final."""
