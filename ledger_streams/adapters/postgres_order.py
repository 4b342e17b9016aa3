"""The order of a wallet's events in time, where a clock has stepped back.

occurred_at is a broker's append time, and nothing keeps it from going backwards between
two versions.  "As of" a moment has to mean a version all the same, and a later moment
never an earlier one; so an event counts from the latest occurred_at up to its version.
That is its own for nearly all, and then not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ledger_streams.adapters.postgres_rows import WalletEventRow


def ordered_at(
    events: Sequence[WalletEventRow], latest: Mapping[str, datetime]
) -> dict[tuple[str, int], datetime]:
    """Return from when on an event counts, by wallet and version, where that is after its occurred_at.

    `latest` is the latest occurred_at of each wallet's events so far.
    """
    found: dict[tuple[str, int], datetime] = {}
    so_far = dict(latest)
    for row in events:
        before = so_far.get(row.wallet_id)
        if before is None or row.occurred_at >= before:
            so_far[row.wallet_id] = row.occurred_at
        else:
            found[row.wallet_id, row.event_version] = before
    return found
