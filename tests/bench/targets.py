"""What is wanted of the figures, in one place; the table of the benchmarks compares with it.

A target is met by its median, on the machine that the project was planned for: two cores
with everything on them.  Nothing fails for missing one.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Target(NamedTuple):
    """A wanted figure: its case, its path in the case's figures, and what it says to people."""

    case: str
    path: str
    about: str
    unit: str
    wanted: float
    is_most: bool = False
    """It is the most that the figure may be, else the least."""

    def ratio(self, figure: float) -> float:
        """Return how well the target is met: 1 or more if it is."""
        return self.wanted / max(figure, 1e-9) if self.is_most else figure / self.wanted


MOST: Final = True
"""Of a target that is an upper bound."""
TARGETS: Final = (
    Target("wallets", "ours_to.faust", "wallets: a plain Faust agent's pace", "x", 15),
    Target("wallets", "ours_to.quix", "wallets: Quix Streams' pace, exactly once", "x", 1),
    Target("wallets", "ours_to.kafka-streams", "wallets: Kafka Streams' pace", "x", 1.5),
    Target("backlog", "by_workers.1.payments_per_s", "payments, one worker alone", "payments/s", 8_000),
    Target("backlog", "to_one.2", "payments, two workers to one", "x", 1.6),
    Target("payments", "saturation.uniform.payments_per_s", "payments to PostgreSQL", "payments/s", 2_500),
    Target("payments", "to_uniform.hot", "one hot wallet to the uniform rate", "x", 0.8),
    Target("payments", "rates.200/s.visible.p50_ms", "a payment at 200/s, p50", "ms", 100, MOST),
    Target("payments", "rates.200/s.visible.p99_ms", "a payment at 200/s, p99", "ms", 300, MOST),
    Target("payments", "rates.1000/s.visible.p50_ms", "a payment at 1,000/s, p50", "ms", 100, MOST),
    Target("payments", "rates.1000/s.visible.p99_ms", "a payment at 1,000/s, p99", "ms", 300, MOST),
    Target("http", "waited.32.requests_per_s", "transfers over HTTP with wait, 32 connections", "/s", 1_500),
    Target("http", "waited.32.p99_ms", "the same, p99", "ms", 150, MOST),
    Target("http", "batches.payments_per_s", "batches over HTTP, 100 a call", "payments/s", 5_000),
    Target("http", "balance_half_load.requests_per_s", "balances from cache, at half load", "/s", 3_000),
    Target("http", "balance_half_load.p99_ms", "the same, p99", "ms", 20, MOST),
    Target("growth", "cost.1000000_to_10000", "a command at 1,000,000 wallets to 10,000", "x", 1.3, MOST),
    Target("memory", "restored.rss_mb", "a worker's memory, 1,000,000 wallets", "MB", 700, MOST),
    Target("rebuild", "records_per_s", "cold rebuild", "records/s", 150_000),
)
