"""Settled: the end of a run, when PostgreSQL has every payment and nothing was lost or done twice."""

from __future__ import annotations

from typing import Final, NamedTuple

from tests.live import LiveSystem, eventually

ENDED_S_MAX: Final = 600.0
RECONCILE_WAIT_S: Final = 60
COUNT_PAYMENTS: Final = """
    SELECT count(*) AS known,
           count(*) FILTER (WHERE ended_at IS NOT NULL) AS ended,
           count(*) FILTER (WHERE status = 'failed') AS failed
      FROM payments
"""


class PaymentCounts(NamedTuple):
    """Payments, as PostgreSQL has them."""

    known: int
    ended: int
    failed: int


async def count_payments(live: LiveSystem) -> PaymentCounts:
    """Count them now."""
    (row,) = await live.rows(COUNT_PAYMENTS)
    return PaymentCounts(**row)


async def wait_for_final_state(live: LiveSystem, payments_min: int) -> PaymentCounts:
    """Wait until so many payments are known, and all that are known have ended; none may have failed."""

    async def all_ended() -> PaymentCounts | None:
        now = await count_payments(live)
        return now if now.known >= payments_min and now.ended == now.known else None

    what = f"all of {payments_min} payments have ended"
    found = await eventually(all_ended, what=what, seconds=ENDED_S_MAX, every_s=0.25)
    assert found.failed == 0, f"{found.failed} payments have failed"
    return found


async def check_reconciliation(live: LiveSystem) -> None:
    """Have everything that knows a balance compared; fails with what differs."""
    await live.document("reconcile", "--wait", str(RECONCILE_WAIT_S))
