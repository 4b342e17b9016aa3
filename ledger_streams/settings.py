"""Settings: the documented set of LEDGER_* environment variables.

The defaults are the local stack of `ledger-streams stack up`; another deployment sets at least
the three addresses.  Names of durations and sizes end in their unit.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from ledger_streams.errors import Rejected
from ledger_streams.kafka_settings import KafkaSettings
from ledger_streams.setting_checks import CHECKS, PORT_MAX, base_urls, sentence, unknown_names

TRANSACTION_MS_MIN: Final = 1_000
SETTLED_IN_MS: Final = 2_000
"""For a broker that checks for expired transactions every second, then writes their markers."""
SETTLED_BY_DEFAULT_IN_MS: Final = 11_000
"""For a broker that checks every ten seconds, Kafka's default
(transaction.abort.timed.out.transaction.cleanup.interval.ms)."""
SLOW_CYCLE_MS: Final = 4_000
"""Lower bound of a transaction's time-out with a short session: a slow cycle needs so long."""


class Settings(KafkaSettings):
    """The settings of every process."""

    postgres: str = Field(
        "postgresql://ledger@127.0.0.1:25432/ledger", description="DSN of PostgreSQL 15 or later"
    )
    postgres_admin: str = Field(
        "",
        description="DSN of the role that owns the tables, for `db`, `archive` and `replay projections`; "
        "empty: that of LEDGER_POSTGRES",
    )
    audit_key: str = Field(
        "",
        repr=False,
        description="key of the seals of days, which projectors and `audit` share; empty: a plain hash",
    )
    pgbouncer: str = Field(
        "",
        description="host:port of a PgBouncer before LEDGER_POSTGRES, for workers, api and projectors; "
        "commands connect without it",
    )
    redis: str = Field("redis://127.0.0.1:26379/0", description="URL of Redis")
    home: Path = Field(
        Path(".ledger"), description="folder of the local stack and of the workers' RocksDB tables"
    )
    postgres_memory: str = Field(
        "",
        description="memory that the local stack's PostgreSQL is tuned for, like 32GB; "
        "empty: the little it has beside all else",
    )
    backups: str = Field(
        "",
        description="folder of backups and archived log of the local stack's PostgreSQL; empty: none",
    )
    archive: str = Field(
        "", description="folder of archived months of `events`, which has to be there; empty: none"
    )
    archive_months: int = Field(
        0, ge=0, description="`archive now` takes months that ended more than so many months ago; 0: none"
    )
    data: Path = Field(
        Path("../shared/data"), description="folder with the real bank transactions of demo and tests"
    )

    app_id: str = Field(
        "ledger-streams",
        description="consumer group of the ledger workers; transactional ids start with it, and so do the "
        "groups <app id>-projector and <app id>-gateway",
    )
    topic_prefix: str = Field(
        "",
        description="put before every topic's name; two systems on one broker need two, and two app ids, "
        "databases and Redis databases",
    )
    worker_id: str = Field(
        "1",
        description="name of this worker, unique in its group and the same after a restart; part of its data "
        "folder and transactional id",
    )
    replication_factor: int = Field(1, ge=1, description="replicas of each topic; 3 in production")
    min_insync_replicas: int = Field(
        1, ge=1, description="min.insync.replicas of each topic; 2 in production"
    )

    http_host: str = Field(
        "127.0.0.1", description="address the web views bind to; the loopback until there is authentication"
    )
    http_port: int = Field(
        6066,
        ge=1,
        le=PORT_MAX,
        description="port of a worker's HTTP; under `run`, workers, projectors and gateways take one each "
        "from here, in this order",
    )

    drain_s: float = Field(
        1.0,
        ge=0,
        description="how long a worker that stops still answers after /health/ready has said that it is not "
        "ready; as long as a load balancer takes to notice",
    )

    poll_records_max: int = Field(500, ge=1, description="max.poll.records: records of one cycle")
    poll_records_bulk_max: int = Field(
        4_000, ge=1, description="records that a cycle may grow to while polls come back full"
    )
    session_timeout_ms: int = Field(
        30_000, ge=1_000, description="a worker silent for so long loses its partitions"
    )
    heartbeat_interval_ms: int = Field(
        1_000, ge=100, description="well under the session timeout; a takeover may begin so much after it"
    )
    fetch_wait_ms: int = Field(
        10, ge=1, description="fetch.max.wait.ms: how long the broker may hold a fetch without data"
    )
    transaction_timeout_ms: int = Field(
        10_000,
        ge=1_000,
        description="the broker aborts a dead worker's transaction after this, or before its session ends",
    )
    standby: bool = Field(
        True,
        description="follow the tables of the partitions that other workers own, for a quick takeover; "
        "0: a takeover reads them from where this worker had them last",
    )
    dead_letters_in_a_row_max: int = Field(
        1_000,
        ge=0,
        description="dead letters of one partition without a good record between them, beyond which a worker "
        "ends: more than the bad rows of a file, less than a topic in a format it does not know; 0: no limit",
    )
    provider_patience_ms: int = Field(
        60_000,
        ge=1_000,
        description="how long a provider is asked before it is told to cancel",
    )
    saga_stuck_s: int = Field(
        300,
        ge=1,
        description="a payment that has not ended after so long counts as stuck: `sagas list --stuck`, "
        "ledger_payments_stuck",
    )
    balance_ttl_s: int = Field(300, ge=1, description="time to live of a cached balance")
    balances_refresh_s: int = Field(
        300, ge=0, description="age at which a projector refreshes the view wallet_balances; 0: never"
    )
    providers: str = Field(
        "", description="payment providers: name=base URL, comma separated; a payment names one of them"
    )
    provider_timeout_ms: int = Field(
        5_000, ge=1, description="a provider's call without an answer for so long has an unknown outcome"
    )
    provider_calls_max: int = Field(
        64, ge=1, description="calls of one provider that one process has out at a time"
    )
    breaker_failures_max: int = Field(
        5, ge=1, description="failures in a row that open a provider's circuit breaker"
    )
    breaker_open_s: float = Field(
        10, gt=0, description="how long an open breaker refuses calls before it lets one try"
    )
    log_level: str = Field(
        "INFO", description="level of the application's own loggers; -l on the command line goes before it"
    )

    def topic(self, name: str) -> str:
        """Return the full name of a topic, given its name in the contract."""
        return f"{self.topic_prefix}{name}"

    @field_validator(*CHECKS)
    @classmethod
    def _text_is_readable(cls, text: str, about: ValidationInfo) -> str:
        CHECKS[str(about.field_name)](text)
        return text

    @field_validator("home")
    @classmethod
    def _home_is_absolute(cls, home: Path) -> Path:
        """Make the folder absolute: a relative one depends on the working folder."""
        return home.absolute()

    @property
    def postgres_owner(self) -> str:
        """DSN with the owner's rights, for migrations, a rebuild and roles."""
        return self.postgres_admin or self.postgres

    @property
    def provider_urls(self) -> Mapping[str, str]:
        """Base URL of each provider, by name."""
        return MappingProxyType(base_urls(self.providers))

    @property
    def dead_transaction_ms(self) -> int:
        """Time-out of transactions: the broker aborts a dead worker's at its next check after it.

        The abort precedes the session's end if the broker checks every ten seconds and the session is
        15 s or more, or if it checks every second.  Else a takeover may wait for 14 s.
        """
        by_default_ms = self.session_timeout_ms - SETTLED_BY_DEFAULT_IN_MS
        at_least_ms = min(SLOW_CYCLE_MS, self.session_timeout_ms - SETTLED_IN_MS)
        return min(self.transaction_timeout_ms, max(TRANSACTION_MS_MIN, at_least_ms, by_default_ms))

    @property
    def pooled_postgres(self) -> str:
        """DSN for workers, api and projectors: LEDGER_POSTGRES, by way of LEDGER_PGBOUNCER if set."""
        if not self.pgbouncer:
            return self.postgres
        parts = urlsplit(self.postgres)
        user, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{user}{at}{self.pgbouncer}").geturl()

    @property
    def tables_dir(self) -> Path:
        """Folder of this worker's RocksDB tables: <home>/workers/<worker_id>/tables."""
        return self.home / "workers" / self.worker_id / "tables"


def settings() -> Settings:
    """Read the settings from the environment; raises Rejected that names each wrong one."""
    try:
        unknown = unknown_names(os.environ, Settings.model_fields)
        config = Settings()
    except ValidationError as error:
        unknown += [sentence(dict(found)) for found in error.errors()]
    if unknown:
        raise Rejected(status=400, title="Settings", detail="; ".join(unknown))
    return config
