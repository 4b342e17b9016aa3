"""The apps: `ledger` with tables and web views, `gateway` for providers, `projector` for the read side.

Three consumer groups, so that neither a slow provider nor a slow PostgreSQL holds back
the ledger; `api`, the web views alone, is in none.  What belongs to an app is found by the
names of its modules: they import the app, never the other way round.
"""

from __future__ import annotations

from ledger_streams import topics
from ledger_streams.adapters.postgres.parking import PostgresParking
from ledger_streams.adapters.postgres.pool import WRITER_SESSION, create_pool
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.adapters.redis.balances import RedisBalances, connect
from ledger_streams.bounded_close import close_within
from ledger_streams.engine.app import EngineApp, WebApp
from ledger_streams.engine.committer import Committer
from ledger_streams.engine.ledger_committer import LedgerCommitter
from ledger_streams.engine.projection_committer import ProjectionCommitter, Stores
from ledger_streams.engine.projection_parking import Parking
from ledger_streams.engine.state.source_offset_log import PositionLogs
from ledger_streams.engine.state.standby import Standby
from ledger_streams.engine.state.takeover import Takeover
from ledger_streams.engine.transactions import Transactions
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka_settings import client_options
from ledger_streams.logs import quiet_libraries
from ledger_streams.rights import Role, transactional_topics
from ledger_streams.settings import settings

LEDGER_MODULES = ("agents.payments", "agents.sagas", "agents.wallets", "web.pages")
GATEWAY_MODULES = ("agents.providers", "web.gateway_pages")
API_MODULES = ("web.pages",)
PROJECTOR_MODULES = (
    "agents.projections",
    "ledger_streams.bootstrap.balances_job",
    "ledger_streams.bootstrap.day_close_job",
    "web.projector_pages",
)

GATEWAY_POLL_RECORDS_MAX = 500
"""A gateway's cycle lasts as long as its slowest calls, so it does not grow as a worker's may; a provider
that is silent ends it after one time-out, since its breaker opens."""

SINK_CONNECTIONS_MAX = 4
"""A projector writes on one; the others are for what it reads and marks meanwhile."""

quiet_libraries()
clock = BrokerClock()
"""One a process: what any of its parts hears from the broker, all know."""


def ledger_committer() -> Committer:
    """Return the committer of the ledger's workers, for the tables declared so far."""
    config, specs = settings(), list(ledger.tables.values())
    changelogs = {spec.name: config.topic(spec.changelog) for spec in specs}
    further = [config.topic(source) for spec in specs for source in spec.further_sources]
    return LedgerCommitter(
        tables={
            config.topic(source): spec for spec in specs for source in (spec.source, *spec.further_sources)
        },
        tables_dir=config.tables_dir,
        changelog_topics=changelogs,
        takeover=Takeover(
            bootstrap=client_options(config),
            group_id=ledger.conf.id,
            changelog_topics=changelogs,
            further_sources=further,
        ),
        transactions=transactions(ledger.conf.id, "worker"),
        intake={config.topic(topics.PAYMENT_EVENTS)},
        letters_in_a_row_max=config.dead_letters_in_a_row_max,
        standby=Standby(
            bootstrap=client_options(config),
            group_id=ledger.conf.id,
            tables_dir=config.tables_dir,
            specs=specs,
            changelog_topics=changelogs,
        )
        if config.standby
        else None,
    )


def gateway_committer() -> Committer:
    """Return the committer of the gateways, which have no tables: answers and positions at once."""
    config, group_id = settings(), gateway.conf.id
    logs = PositionLogs({config.topic(topics.PROVIDER_REQUESTS): config.topic(topics.PROVIDER_POSITIONS)})
    return LedgerCommitter(
        tables={},
        tables_dir=config.tables_dir,
        changelog_topics={},
        takeover=Takeover(
            bootstrap=client_options(config), group_id=group_id, changelog_topics={}, position_logs=logs
        ),
        transactions=transactions(group_id, "gateway"),
        letters_in_a_row_max=config.dead_letters_in_a_row_max,
        position_logs=logs,
    )


def transactions(group_id: str, role: Role) -> Transactions:
    """Return this worker's transactions in a consumer group."""
    config = settings()
    return Transactions(
        bootstrap=client_options(config),
        transactional_id=f"{group_id}-{config.worker_id}",
        group_id=group_id,
        transaction_timeout_ms=config.dead_transaction_ms,
        topics=transactional_topics(config, role),
        clock=clock,
    )


def projection_committer() -> Committer:
    """Return the committer of the projectors."""
    config = settings()

    async def open_stores() -> Stores:
        pool = await create_pool(
            config.pooled_postgres, connections_max=SINK_CONNECTIONS_MAX, session=WRITER_SESSION
        )
        redis = connect(config.redis)

        async def close() -> None:
            await close_within("redis", redis.aclose())
            await close_within("postgres", pool.close())

        sink = PostgresSink(pool)
        parking = Parking(PostgresParking(sink))
        return Stores(sink, parking, RedisBalances(redis, ttl_s=config.balance_ttl_s), close)

    return ProjectionCommitter(
        bootstrap=client_options(config), open_stores=open_stores, cached_topic=config.topic("wallet-events")
    )


ledger = EngineApp(
    settings().app_id,
    settings=settings(),
    clock=clock,
    new_committer=ledger_committer,
    modules=LEDGER_MODULES,
)
gateway = EngineApp(
    f"{settings().app_id}-gateway",
    settings=settings().model_copy(
        update={
            "poll_records_max": GATEWAY_POLL_RECORDS_MAX,
            "poll_records_bulk_max": GATEWAY_POLL_RECORDS_MAX,
        }
    ),
    clock=clock,
    new_committer=gateway_committer,
    modules=GATEWAY_MODULES,
)
api = WebApp(f"{settings().app_id}-api", settings=settings(), modules=API_MODULES)
projector = EngineApp(
    f"{settings().app_id}-projector",
    settings=settings(),
    clock=clock,
    new_committer=projection_committer,
    modules=PROJECTOR_MODULES,
)
