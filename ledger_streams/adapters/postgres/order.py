"""The order of a wallet's events: versions without a gap, and times that never go back.

occurred_at is the broker's append time, and it may go back between two versions.  A query "as of" a
time must map to one version, and a later time never to an earlier version.  So an event counts from
the latest occurred_at up to its version.  For nearly all events this is their own, and then it is
not stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ledger_streams.adapters.postgres.rows import SnapshotRow, WalletEventRow
from ledger_streams.errors import InvariantBroken


def ordered_at(
    events: Sequence[WalletEventRow], latest: Mapping[str, datetime]
) -> dict[tuple[str, int], datetime]:
    """Return the time from which an event counts, by wallet and version, where it is after occurred_at.

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


def check_versions(
    events: Sequence[WalletEventRow], newest: Mapping[str, SnapshotRow], versions: dict[str, int]
) -> None:
    """Raise `InvariantBroken` unless each wallet's events go on from `versions` without a gap.

    `versions` are those of the snapshots; they are brought up to date on the way.
    """
    for row in events:
        last = versions.get(row.wallet_id, 0)
        if row.event_version != last + 1:
            raise InvariantBroken(
                f"wallet {row.wallet_id}: version gap, event version {row.event_version} came after {last}"
            )
        versions[row.wallet_id] = row.event_version
    for wallet, snapshot in newest.items():
        if snapshot.last_event_version != versions.get(wallet):
            raise InvariantBroken(
                f"wallet {wallet}: snapshot of version {snapshot.last_event_version}, "
                f"but its last event is {versions.get(wallet)}"
            )
