"""Statuses of payments: the closed list of how a payment stands, as the read side and the API say it.

pending -> completed -> partially_refunded -> refunded
        -> failed
"""

from __future__ import annotations

from enum import StrEnum


class PaymentStatus(StrEnum):
    """How a payment stands; the text below a value says what it means, and then what the caller can do."""

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
