"""committers: the committer of each app, made when its worker starts, inside the running loop."""

from __future__ import annotations

from ledger_streams import topics
from ledger_streams.adapters.postgres.parking import PostgresParking
from ledger_streams.adapters.postgres.pool import WRITER_SESSION, create_pool
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.adapters.redis.balances import RedisBalances, connect
from ledger_streams.bounded_close import close_within
from ledger_streams.engine.app import EngineApp
from ledger_streams.engine.committer import Committer
from ledger_streams.engine.ledger_committer import LedgerCommitter
from ledger_streams.engine.projection_committer import ProjectionCommitter, Stores
from ledger_streams.engine.projection_parking import Parking
from ledger_streams.engine.state.source_offset_log import SourceOffsetLogs
from ledger_streams.engine.state.standby import Standby
from ledger_streams.engine.state.takeover import Takeover
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.transactions import Transactions
from ledger_streams.kafka_settings import client_options
from ledger_streams.rights import Role, transactional_topics
from ledger_streams.settings import Settings

SINK_CONNECTIONS_MAX = 4
"""A projector writes on one connection; the others read and mark parked records meanwhile."""


def ledger_committer(settings: Settings, app: EngineApp, clock: BrokerClock) -> Committer:
    """Return the committer of a ledger worker, for the tables that the app declares."""
    specs, group_id = list(app.tables.values()), app.conf.id
    changelogs = {spec.name: settings.topic(spec.changelog) for spec in specs}
    further = [settings.topic(source) for spec in specs for source in spec.further_sources]
    return LedgerCommitter(
        tables={
            settings.topic(source): spec for spec in specs for source in (spec.source, *spec.further_sources)
        },
        tables_dir=settings.tables_dir,
        changelog_topics=changelogs,
        takeover=Takeover(
            bootstrap=client_options(settings),
            group_id=group_id,
            changelog_topics=changelogs,
            further_sources=further,
        ),
        transactions=transactions(settings, group_id, "worker", clock),
        intake={settings.topic(topics.PAYMENT_EVENTS)},
        consecutive_dead_letters_max=settings.dead_letters_in_a_row_max,
        standby=Standby(
            bootstrap=client_options(settings),
            group_id=group_id,
            tables_dir=settings.tables_dir,
            specs=specs,
            changelog_topics=changelogs,
        )
        if settings.standby
        else None,
    )


def gateway_committer(settings: Settings, group_id: str, clock: BrokerClock) -> Committer:
    """Return the committer of a gateway: no tables, answers and positions in one transaction."""
    logs = SourceOffsetLogs(
        {settings.topic(topics.PROVIDER_REQUESTS): settings.topic(topics.PROVIDER_POSITIONS)}
    )
    return LedgerCommitter(
        tables={},
        tables_dir=settings.tables_dir,
        changelog_topics={},
        takeover=Takeover(
            bootstrap=client_options(settings),
            group_id=group_id,
            changelog_topics={},
            source_offset_logs=logs,
        ),
        transactions=transactions(settings, group_id, "gateway", clock),
        consecutive_dead_letters_max=settings.dead_letters_in_a_row_max,
        source_offset_logs=logs,
    )


def transactions(settings: Settings, group_id: str, role: Role, clock: BrokerClock) -> Transactions:
    """Return this worker's transactions in a consumer group."""
    return Transactions(
        bootstrap=client_options(settings),
        transactional_id=f"{group_id}-{settings.worker_id}",
        group_id=group_id,
        transaction_timeout_ms=settings.dead_transaction_ms,
        topics=transactional_topics(settings, role),
        clock=clock,
    )


def projection_committer(settings: Settings) -> Committer:
    """Return the committer of a projector, which opens its stores itself."""

    async def open_stores() -> Stores:
        pool = await create_pool(
            settings.pooled_postgres, connections_max=SINK_CONNECTIONS_MAX, session=WRITER_SESSION
        )
        redis = connect(settings.redis)

        async def close() -> None:
            await close_within("redis", redis.aclose())
            await close_within("postgres", pool.close())

        sink = PostgresSink(pool)
        parking = Parking(PostgresParking(sink))
        return Stores(sink, parking, RedisBalances(redis, ttl_s=settings.balance_ttl_s), close)

    return ProjectionCommitter(
        bootstrap=client_options(settings),
        open_stores=open_stores,
        cached_topic=settings.topic(topics.WALLET_EVENTS),
    )
