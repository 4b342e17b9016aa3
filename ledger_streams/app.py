"""The apps: `ledger` with agents, tables and web views, `projector` for the read side.

Two consumer groups, so that a slow PostgreSQL never holds back the ledger.  What
belongs to an app is found by the names of its modules: they import the app, never the
other way round.
"""

from __future__ import annotations

from ledger_streams.adapters.postgres_pool import create_pool
from ledger_streams.adapters.postgres_sink import PostgresSink
from ledger_streams.adapters.redis_balances import RedisBalances, connect
from ledger_streams.engine.app import EngineApp
from ledger_streams.engine.cycles import Committer
from ledger_streams.engine.ledger import LedgerCommitter
from ledger_streams.engine.projection import ProjectionCommitter, Stores
from ledger_streams.engine.takeover import Takeover
from ledger_streams.engine.transactions import Transactions
from ledger_streams.logs import quiet_libraries
from ledger_streams.settings import settings

LEDGER_MODULES = ("agents.payments", "agents.sagas", "agents.wallets", "web.pages")
PROJECTOR_MODULES = ("agents.projections", "web.projector_pages")

quiet_libraries()


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
            bootstrap=config.kafka,
            group_id=ledger.conf.id,
            changelog_topics=changelogs,
            further_sources=further,
        ),
        transactions=Transactions(
            bootstrap=config.kafka,
            transactional_id=f"{ledger.conf.id}-{config.worker_id}",
            group_id=ledger.conf.id,
            transaction_timeout_ms=config.transaction_timeout_ms,
        ),
        letters_in_a_row_max=config.dead_letters_in_a_row_max,
    )


def projection_committer() -> Committer:
    """Return the committer of the projectors."""
    config = settings()

    async def open_stores() -> Stores:
        pool = await create_pool(config.postgres, connections_max=4)
        redis = connect(config.redis)

        async def close() -> None:
            await redis.aclose()
            await pool.close()

        return Stores(PostgresSink(pool), RedisBalances(redis, ttl_s=config.balance_ttl_s), close)

    return ProjectionCommitter(
        bootstrap=config.kafka, open_stores=open_stores, cached_topic=config.topic("wallet-events")
    )


ledger = EngineApp(
    settings().app_id, settings=settings(), new_committer=ledger_committer, modules=LEDGER_MODULES
)
projector = EngineApp(
    f"{settings().app_id}-projector",
    settings=settings(),
    new_committer=projection_committer,
    modules=PROJECTOR_MODULES,
)
