"""Final state of a run: PostgreSQL has every payment, all have ended, and all balances agree."""

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
    """Counts of payments in PostgreSQL."""

    known: int
    ended: int
    failed: int


async def count_payments(live: LiveSystem) -> PaymentCounts:
    """Return the current counts."""
    (row,) = await live.rows(COUNT_PAYMENTS)
    return PaymentCounts(**row)


async def wait_for_final_state(live: LiveSystem, payments_min: int) -> PaymentCounts:
    """Wait until `payments_min` payments are known and all known ones have ended; fail if one has failed."""

    async def all_ended() -> PaymentCounts | None:
        now = await count_payments(live)
        return now if now.known >= payments_min and now.ended == now.known else None

    what = f"all of {payments_min} payments have ended"
    found = await eventually(all_ended, what=what, seconds=ENDED_S_MAX, every_s=0.25)
    assert found.failed == 0, f"{found.failed} payments have failed"
    return found


async def check_reconciliation(live: LiveSystem) -> None:
    """Run `reconcile`; fail with the differences if there are any."""
    await live.document("reconcile", "--wait", str(RECONCILE_WAIT_S))
