"""Targets of the benchmarks, which the table compares with the results.

A target applies to the median on two cores that run everything.  A missed target is
reported; it fails nothing.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Target(NamedTuple):
    """A target: case, path in the case's figures, description, unit and value."""

    case: str
    path: str
    about: str
    unit: str
    wanted: float
    is_most: bool = False
    """True for an upper bound, False for a lower bound."""

    def ratio(self, figure: float) -> float:
        """Return the ratio to the target; 1 or more if it is met."""
        return self.wanted / max(figure, 1e-9) if self.is_most else figure / self.wanted


MOST: Final = True
"""Marks an upper bound."""
WAITED: Final = "payments?wait, 32.called"
BESIDE: Final = "balance, cached, beside *.called"
TARGETS: Final = (
    Target("wallets", "ours_to.faust", "wallets agent's pace to plain Faust's", "x", 15),
    Target("wallets", "ours_to.quix", "the same to Quix Streams', exactly once", "x", 1),
    Target("wallets", "ours_to.kafka-streams", "the same to Kafka Streams'", "x", 1.5),
    Target("backlog", "by_workers.1.payments_per_s", "payments, one worker alone", "payments/s", 8_000),
    Target("backlog", "to_one.2", "payments, two workers to one", "x", 1.6),
    Target("payments", "saturated.uniform.postgres_per_s", "payments, to PostgreSQL", "payments/s", 2_500),
    Target("payments", "saturated.hot.to_uniform", "one hot wallet to the uniform rate", "x", 0.8),
    Target("payments", "paced.200/s.postgres_ms.p50", "a payment at 200/s, p50", "ms", 100, MOST),
    Target("payments", "paced.200/s.postgres_ms.p99", "a payment at 200/s, p99", "ms", 300, MOST),
    Target("payments", "paced.1000/s.postgres_ms.p50", "a payment at 1,000/s, p50", "ms", 100, MOST),
    Target("payments", "paced.1000/s.postgres_ms.p99", "a payment at 1,000/s, p99", "ms", 300, MOST),
    Target("http", f"{WAITED}.calls_per_s", "transfers with wait, 32 connections", "calls/s", 1_500),
    Target("http", f"{WAITED}.p99_ms", "the same, p99", "ms", 150, MOST),
    Target("http", "batches.completed_per_s", "batches of 100 a call", "payments/s", 5_000),
    Target("http", f"{BESIDE}.calls_per_s", "balances at half load, 32 connections", "calls/s", 3_000),
    Target("http", f"{BESIDE}.p99_ms", "the same, p99", "ms", 20, MOST),
    Target("growth", "wallets.-1.cost_to_smallest", "a command, 1,000,000 wallets to 10,000", "x", 1.3, MOST),
    Target("memory", "loaded_max.rss_mb", "a worker with 1,000,000 wallets", "MB", 700, MOST),
    Target("rebuild", "records_per_s", "cold rebuild", "records/s", 150_000),
)
