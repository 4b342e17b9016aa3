"""`reconcile`: does everything that knows a balance know the same balance?

log           the last wallet-events record of each wallet, which mirrors the table
PostgreSQL    no parked records; snapshots = sums of wallet_events = sums of postings; postings sum to zero
Redis         where a wallet is cached
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
    "--wait", "wait_s", default=30.0, show_default=True, help="Seconds for the projector to catch up."
)
@click.option(
    "--rocksdb",
    is_flag=True,
    help="Compare the tables of workers too, which must be below LEDGER_HOME.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def reconcile(wait_s: float, rocksdb: bool, as_json: bool) -> None:
    """Compare the log, PostgreSQL and Redis, wallet by wallet; exit 1 when anything differs.

    It first waits for the projector to reach the log's end, and says what lags if it does not.
    Safe beside a living system: content is compared at equal versions only.
    """
    result = run_async(compare(settings(), wait_s=wait_s, rocksdb=rocksdb))
    if as_json:
        print_json(result)
    else:
        click.echo(result_text(result))
    sys.exit(result.exit_code)


def result_text(result: Reconciliation) -> str:
    """Return the result for people."""
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
        parts.append(
            table("The projector has not read", ("partition", "records"), rows, numbers=("records",))
        )
    if result.differences:
        rows_different = [(found.kind, found.subject, found.detail) for found in result.differences]
        parts.append(
            table(f"DIFFERENCES: {len(rows_different):,}", ("rule", "of", "figures"), rows_different)
        )
    elif not result.lagging:
        parts.append("No differences.")
    return "\n\n".join(parts)
