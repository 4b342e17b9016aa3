"""`reconcile`: compare every copy of every balance.

log           the last wallet-events record of each wallet, which equals the table's value
PostgreSQL    no parked records; snapshots = sums of wallet_events = sums of postings; postings sum to zero
Redis         the cached wallets
RocksDB       the tables of workers on this machine, with --rocksdb
"""

from __future__ import annotations

import sys

import click

from ledger_streams.cli.output import print_json, run_async, table
from ledger_streams.reconciliation.comparison import Reconciliation, compare
from ledger_streams.settings import settings


@click.command()
@click.option(
    "--wait",
    "wait_s",
    default=30.0,
    show_default=True,
    help="Maximum seconds to wait for the projector to catch up.",
)
@click.option(
    "--rocksdb",
    is_flag=True,
    help="Also compare the tables of the workers below LEDGER_HOME.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def reconcile(wait_s: float, rocksdb: bool, as_json: bool) -> None:
    """Compare the log, PostgreSQL and Redis wallet by wallet; exit 1 on any difference.

    It first waits for the projector to reach the end of the log, and reports the lag if it does not.
    Safe on a running system: it compares contents of equal versions only.
    """
    result = run_async(compare(settings(), wait_s=wait_s, rocksdb=rocksdb))
    if as_json:
        print_json(result)
    else:
        click.echo(result_text(result))
    sys.exit(result.exit_code)


def result_text(result: Reconciliation) -> str:
    """Return the result as text."""
    compared = f"{result.wallets:,} wallets in log and PostgreSQL, {result.cached:,} of them in Redis"
    if result.table_partitions:
        compared += f", {result.table_partitions} partitions of RocksDB"
    parts = [f"Compared {compared}."]
    if result.totals:
        parts.append(
            table(
                "All wallets",
                ("currency", "sum of balances"),
                [*result.totals.items()],
                numbers=("sum of balances",),
            )
        )
    if result.lagging:
        rows = [*result.lagging.items()]
        parts.append(table("Lag of the projector", ("partition", "records"), rows, numbers=("records",)))
    if result.differences:
        rows_different = [(found.kind, found.subject, found.detail) for found in result.differences]
        parts.append(table(f"DIFFERENCES: {len(rows_different):,}", ("rule", "of", "values"), rows_different))
    elif not result.lagging:
        parts.append("No differences.")
    return "\n\n".join(parts)
