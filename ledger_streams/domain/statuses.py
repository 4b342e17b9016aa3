"""Statuses of payments: the closed list that the read model and the API use.

pending -> completed -> partially_refunded -> refunded
        -> failed
"""

from __future__ import annotations

from enum import StrEnum


class PaymentStatus(StrEnum):
    """Status of a payment; the text below a value: its meaning, then the next action of the caller."""

    PENDING = "pending"
    """Accepted, and in progress; goes on to completed or failed.

    Read it again, or send it again with `?wait=`; never send it under another id.
    """
    COMPLETED = "completed"
    """Carried out; goes on to partially_refunded or refunded, if refunds of it complete.

    Refund it.
    """
    FAILED = "failed"
    """Not carried out: no money has moved, or it is back; `reason` and `detail` say why.

    See the reason; the same id is not tried again.
    """
    PARTIALLY_REFUNDED = "partially_refunded"
    """Carried out, and `refunded` of it has gone back; goes on to refunded.

    Refund more of it.
    """
    REFUNDED = "refunded"
    """Carried out, and all of it has gone back; stays so.

    Nothing.
    """
