"""Metrics: the closed, documented list of what the processes measure.

Every metric of the system is defined here and nowhere else, so that dashboards and
alerts have one page to rely on.  Names start with `ledger_` and end in their unit;
a label has few values, all known ahead: never an id, never a path as it was asked for.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

HTTP_REQUEST_SECONDS: Final = Histogram(
    "ledger_http_request_seconds",
    "Time from a request's headers to its answer, by route pattern, method and status",
    labelnames=("route", "method", "status"),
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0),
)
"""`route` is the pattern (`/v1/wallets/{wallet_id}`) or `unmatched`; `?wait=` counts in full."""

BALANCE_READS: Final = Counter(
    "ledger_balance_reads",
    "Balance reads by where the answer came from: hit, miss, or away when the cache could not be asked",
    labelnames=("cache",),
)

CACHE_WRITES_SKIPPED: Final = Counter(
    "ledger_cache_writes_skipped",
    "Wallets the API could not write to the cache because it was away; reads then use the read model",
)

CLAIMS_SKIPPED: Final = Counter(
    "ledger_payment_claims_skipped", "Payments taken without a claim on their id: the store was away"
)

BACKGROUND_TASK_FAILURES: Final = Counter(
    "ledger_background_task_failures",
    "Unforeseen failures of background tasks, by task",
    labelnames=("task",),
)

CYCLE_SECONDS: Final = Histogram(
    "ledger_cycle_seconds",
    "Time of a cycle, by part: decide, commit (the transaction), keep (RocksDB)",
    labelnames=("part",),
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0),
)

CYCLE_RECORDS: Final = Counter(
    "ledger_cycle_records",
    "Records carried out, by topic",
    labelnames=("topic",),
)

RECORDS_AHEAD: Final = Counter(
    "ledger_records_ahead",
    "Records that a worker carried out as it had written them, without reading them back, by topic",
    labelnames=("topic",),
)

RECORDS_UNDER_WAY: Final = Gauge(
    "ledger_records_under_way",
    "Records that a worker has written for itself and not carried out; from 4,000 on it begins nothing new",
)

CYCLES_LOST: Final = Counter(
    "ledger_cycles_lost",
    "Cycles whose transaction was refused or not answered; their records were carried out anew",
)

RESTORED_RECORDS: Final = Counter(
    "ledger_restored_records",
    "Changelog records read back into tables at takeovers, by table",
    labelnames=("table",),
)

RESTORE_LEFT_RECORDS: Final = Gauge(
    "ledger_restore_left_records",
    "Offsets that a takeover has still to read back, by table; markers of transactions count",
    labelnames=("table",),
)

STANDBY_RECORDS: Final = Counter(
    "ledger_standby_records",
    "Changelog records applied to tables of partitions that another worker owns, by table",
    labelnames=("table",),
)

CHANGELOG_FOREIGN_RECORDS: Final = Counter(
    "ledger_changelog_foreign_records",
    "Changelog records left out of a table because no worker's cycle wrote them, by table",
    labelnames=("table",),
)

STANDBY_LEFT_RECORDS: Final = Gauge(
    "ledger_standby_left_records",
    "Offsets that the standby is behind the changelogs, by table: what a takeover would have to read back",
    labelnames=("table",),
)

LAST_TAKEOVER_SECONDS: Final = Gauge(
    "ledger_last_takeover_seconds",
    "Time of the last takeover, by phase: cycle (the commit in flight), producers, open (the tables), "
    "commits (the last owner's transactions), restore, resume",
    labelnames=("phase",),
)

TAKEOVER_SECONDS: Final = Histogram(
    "ledger_takeover_seconds",
    "Time from an assignment of partitions to the first poll from them",
    buckets=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)

READY: Final = Gauge("ledger_ready", "1 while all assigned partitions are taken over, else 0")

DEAD_LETTERS: Final = Counter(
    "ledger_dead_letters",
    "Records parked with the dead letters, by topic and reason",
    labelnames=("topic", "reason"),
)

DEAD_LETTERS_IN_A_ROW: Final = Gauge(
    "ledger_dead_letters_in_a_row",
    "Dead letters since the last record that was carried out; the worker ends beyond "
    "LEDGER_DEAD_LETTERS_IN_A_ROW_MAX",
    labelnames=("topic", "partition"),
)

PARKED_RECORDS: Final = Counter(
    "ledger_parked_records",
    "Records that a projector parked instead of projecting them, by topic and reason (not_storable, invalid, "
    "wrong_partition, behind: an earlier record of its aggregate is parked)",
    labelnames=("topic", "reason"),
)

PARKED_RECORDS_WAITING: Final = Gauge(
    "ledger_parked_records_waiting",
    "Parked records that nobody has retried or discarded; said by the projector that has the partition",
    labelnames=("topic", "partition"),
)

PAYMENTS_STUCK: Final = Gauge(
    "ledger_payments_stuck",
    "Payments that have not ended LEDGER_SAGA_STUCK_S after they were requested; each worker says the same",
)

PAYMENT_OLDEST_SECONDS: Final = Gauge(
    "ledger_payment_oldest_seconds",
    "Age of the oldest payment counted as stuck, else 0; each worker says the same",
)

CLOCK_AHEAD_SECONDS: Final = Gauge(
    "ledger_clock_ahead_seconds",
    "By how much this machine's clock is ahead of Kafka's, negative when it is behind; 0 within the time a "
    "request takes",
)

CONSUMER_LAG: Final = Gauge(
    "ledger_consumer_lag",
    "Offsets between a partition's end and what has been carried out; markers of transactions count too",
    labelnames=("topic", "partition"),
)

PROVIDER_CALL_SECONDS: Final = Histogram(
    "ledger_provider_call_seconds",
    "Time of a call of a provider, by provider, call (carry_out, cancel) and outcome "
    "(approved, declined, cancelled, unknown)",
    labelnames=("provider", "call", "outcome"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
"""`provider` is one of LEDGER_PROVIDERS; the wait for one of its slots is not counted."""

BREAKER_OPENED: Final = Counter(
    "ledger_breaker_opened",
    "Times a provider's circuit breaker opened, counted where the last failure was",
    labelnames=("provider",),
)

BREAKER_SKIPPED: Final = Counter(
    "ledger_breaker_skipped",
    "Questions to a circuit breaker answered with yes, and reports lost, because Redis was away; by call "
    "(allows, succeeded, failed)",
    labelnames=("call",),
)

AUDIT_CLOSED_DAY_SECONDS: Final = Gauge(
    "ledger_audit_closed_day_seconds",
    "Begin of the last UTC day with a root, as Unix time; each projector says the same. Alert when it is "
    "two days and some hours ago",
)

AUDIT_CLOSING_SECONDS: Final = Histogram(
    "ledger_audit_closing_seconds",
    "Time it took to close a day, where it was closed",
    buckets=(0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0),
)

AUDIT_CLOSINGS_FAILED: Final = Counter(
    "ledger_audit_closings_failed",
    "Attempts to close a day, or to send its root to Kafka, that failed; they are made again",
)

WALLET_BALANCES_REFRESHED_SECONDS: Final = Gauge(
    "ledger_wallet_balances_refreshed_seconds",
    "Begin of the last refresh of wallet_balances, as Unix time; each projector says the same. Alert when it "
    "is LEDGER_BALANCES_REFRESH_S and some minutes ago",
)

WALLET_BALANCES_SECONDS: Final = Histogram(
    "ledger_wallet_balances_seconds",
    "Time of a refresh of wallet_balances, where it was made",
    buckets=(0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0),
)

WALLET_BALANCES_FAILED: Final = Counter(
    "ledger_wallet_balances_failed",
    "Refreshes of wallet_balances that failed; they are made again",
)

POSTGRES_CONNECTIONS: Final = Gauge(
    "ledger_postgres_connections",
    "Connections of this process's pools by state: used, idle, and limit, what there may be of both",
    labelnames=("state",),
)

POSTGRES_WAITING: Final = Gauge(
    "ledger_postgres_waiting", "Those who wait for a connection of this process's pools"
)

POSTGRES_ACQUIRE_SECONDS: Final = Histogram(
    "ledger_postgres_acquire_seconds",
    "Time until a connection of this process's pools was lent",
    buckets=(0.0001, 0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0),
)

POSTGRES_ACQUIRES_FAILED: Final = Counter(
    "ledger_postgres_acquires_failed",
    "Times no connection was lent in time: the API answers 503, a projector tries again",
)

KAFKA_HANGING_ENDED: Final = Counter("ledger_kafka_hanging_ended", "Hanging transactions ended")
KAFKA_REQUESTS_DENIED: Final = Counter(
    "ledger_kafka_requests_denied", "Requests that Kafka did not allow or know; work goes on", ("request",)
)
