"""The apps: `ledger` with tables and web views, `gateway` for providers, `projector` for the read side.

Three consumer groups, so that neither a slow provider nor a slow PostgreSQL delays the ledger;
`api`, the web views alone, joins no group.  Each function returns an app with its agents, tables,
services and pages registered.  Agent and table names are persisted: a rename is a migration.
"""

from __future__ import annotations

from uuid import uuid4

from agents.payments import PaymentsAgent
from agents.projections import project_payments, project_sagas, project_wallets
from agents.providers import ProvidersAgent
from agents.saga_events import SagaEvents
from agents.sagas import SagasAgent
from agents.wallet_commands import WalletCommands
from agents.wallets import WalletsAgent
from ledger_streams import topics
from ledger_streams.bootstrap.balances_job import BalancesJob
from ledger_streams.bootstrap.committers import gateway_committer, ledger_committer, projection_committer
from ledger_streams.bootstrap.day_close_job import DayCloseJob
from ledger_streams.bootstrap.kafka_checks import TopicsCheck
from ledger_streams.bootstrap.provider_clients import ProviderConnections
from ledger_streams.bootstrap.readiness import gateway_readiness, projector_readiness, web_readiness
from ledger_streams.bootstrap.web_services import Connections, ConnectionService
from ledger_streams.engine.app import DrainedApp, EngineApp, WebApp
from ledger_streams.engine.batches import PartitionedTopic
from ledger_streams.engine.partitioned_topic import partitioned_topic
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.logs import quiet_libraries
from ledger_streams.settings import Settings
from tables.payments import PAYMENTS, PaymentsTable
from tables.sagas import SAGAS, SagasTable
from tables.wallets import WALLETS, WalletsTable
from web.http.graceful_shutdown import add_graceful_shutdown
from web.routes import add_health, add_pages
from web.services import Services, Topics

GATEWAY_POLL_RECORDS_MAX = 500
"""A gateway's cycle lasts as long as its slowest calls, so it must not grow as a worker's may.

A silent provider ends the cycle after one time-out, since its breaker opens.
"""


def ledger_app(settings: Settings) -> EngineApp:
    """Return the app of a ledger worker: four agents, three tables, the web views."""
    quiet_libraries()
    clock = BrokerClock()
    app = EngineApp(
        settings.app_id,
        settings=settings,
        clock=clock,
        new_committer=lambda: ledger_committer(settings, app, clock),
    )
    _add_ledger_agents(app, settings)
    _add_web(app, settings, clock, kind="worker")
    return app


def wallets_app(settings: Settings) -> EngineApp:
    """Return an app with the wallets agent and its table only; for benchmarks."""
    quiet_libraries()
    clock = BrokerClock()
    app = EngineApp(
        settings.app_id,
        settings=settings,
        clock=clock,
        new_committer=lambda: ledger_committer(settings, app, clock),
    )
    saga_events, wallet_commands = _sent_topics(settings)
    _add_wallets(app, settings, saga_events, wallet_commands)
    return app


def gateway_app(settings: Settings) -> EngineApp:
    """Return the app of a gateway: the agent that calls providers, and health pages."""
    quiet_libraries()
    clock = BrokerClock()
    bounds = {
        "poll_records_max": GATEWAY_POLL_RECORDS_MAX,
        "poll_records_bulk_max": GATEWAY_POLL_RECORDS_MAX,
    }
    app = EngineApp(
        f"{settings.app_id}-gateway",
        settings=settings.model_copy(update=bounds),
        clock=clock,
        new_committer=lambda: gateway_committer(settings, app.conf.id, clock),
    )
    connections = ProviderConnections(settings)
    app.service(connections)  # Faust takes an instance as well as a class
    agent = ProvidersAgent(
        connections.open,
        provider_requests=partitioned_topic(settings, topics.PROVIDER_REQUESTS),
        saga_events=SagaEvents(partitioned_topic(settings, topics.SAGA_EVENTS)),
    )
    app.agent(app.topic_batches(settings.topic(topics.PROVIDER_REQUESTS)), name="providers")(agent.process)
    check = TopicsCheck(settings, "gateway")
    add_health(app, gateway_readiness(app, check))
    app.before_stop.append(check.close)
    return app


def projector_app(settings: Settings) -> EngineApp:
    """Return the app of a projector: three agents, two periodic jobs, and health pages."""
    quiet_libraries()
    app = EngineApp(
        f"{settings.app_id}-projector",
        settings=settings,
        clock=BrokerClock(),
        new_committer=lambda: projection_committer(settings),
    )
    for topic, name, process in (
        (topics.PAYMENT_EVENTS, "payment-projection", project_payments),
        (topics.SAGA_EVENTS, "saga-projection", project_sagas),
        (topics.WALLET_EVENTS, "wallet-projection", project_wallets),
    ):
        app.agent(app.topic_batches(settings.topic(topic)), name=name)(process)
    for job in (BalancesJob(settings), DayCloseJob(settings)):
        app.service(job)  # Faust takes an instance as well as a class
    check = TopicsCheck(settings, "projector")
    add_health(app, projector_readiness(app, check))
    app.before_stop.append(check.close)
    return app


def api_app(settings: Settings) -> WebApp:
    """Return the app of the web views alone."""
    quiet_libraries()
    app = WebApp(f"{settings.app_id}-api", settings=settings)
    _add_web(app, settings, BrokerClock(), kind="api")
    return app


def _sent_topics(settings: Settings) -> tuple[SagaEvents, WalletCommands]:
    return (
        SagaEvents(partitioned_topic(settings, topics.SAGA_EVENTS)),
        WalletCommands(partitioned_topic(settings, topics.WALLET_COMMANDS)),
    )


def _add_ledger_agents(app: EngineApp, settings: Settings) -> None:
    """Register all agents and tables of the ledger."""

    def topic(name: str) -> PartitionedTopic:
        return partitioned_topic(settings, name)

    for spec in (PAYMENTS, SAGAS):
        app.tables.declare(spec)
    saga_events, wallet_commands = _sent_topics(settings)
    payments = PaymentsAgent(
        PaymentsTable(topic(topics.PAYMENTS_CHANGELOG)),
        payment_events=topic(topics.PAYMENT_EVENTS),
        saga_events=saga_events,
        wallet_commands=wallet_commands,
        providers=settings.provider_urls.keys(),
    )
    sagas = SagasAgent(
        SagasTable(topic(topics.SAGAS_CHANGELOG)),
        saga_events=saga_events,
        wallet_commands=wallet_commands,
        saga_commands=topic(topics.SAGA_COMMANDS),
        provider_requests=topic(topics.PROVIDER_REQUESTS),
        payment_events=topic(topics.PAYMENT_EVENTS),
        patience_ms=settings.provider_patience_ms,
    )
    for name, source, process in (
        ("payments", topics.PAYMENT_EVENTS, payments.process),
        ("sagas", topics.SAGA_EVENTS, sagas.process_events),
        ("saga-commands", topics.SAGA_COMMANDS, sagas.process_commands),
    ):
        app.agent(app.topic_batches(settings.topic(source)), name=name)(process)
    _add_wallets(app, settings, saga_events, wallet_commands)


def _add_wallets(
    app: EngineApp, settings: Settings, saga_events: SagaEvents, wallet_commands: WalletCommands
) -> None:
    app.tables.declare(WALLETS)
    table = WalletsTable(partitioned_topic(settings, topics.WALLET_EVENTS))
    agent = WalletsAgent(table, saga_events=saga_events, wallet_commands=wallet_commands)
    app.agent(app.topic_batches(settings.topic(topics.WALLET_COMMANDS)), name="wallets")(agent.process)


def _add_web(app: DrainedApp, settings: Settings, clock: BrokerClock, *, kind: str) -> None:
    """Register the API and health pages, and the service that opens their connections."""
    service, check = ConnectionService(settings, clock), TopicsCheck(settings, kind)
    app.service(service)  # Faust takes an instance as well as a class
    worker = app if isinstance(app, EngineApp) else None
    add_pages(
        app,
        lambda: _services(service.opened(), settings, clock),
        web_readiness(service, check, worker=worker),
    )
    app.before_stop.append(add_graceful_shutdown(app, linger_s=settings.drain_s))
    app.before_stop.append(check.close)


def _services(opened: Connections, settings: Settings, clock: BrokerClock) -> Services:
    return Services(
        read_model=opened.read_model,
        cache=opened.cache,
        publisher=opened.publisher,
        outcomes=opened.outcomes,
        claims=opened.claims,
        topics=Topics(
            payment_events=settings.topic(topics.PAYMENT_EVENTS),
            wallet_commands=settings.topic(topics.WALLET_COMMANDS),
        ),
        now=clock.now,
        new_id=lambda: str(uuid4()),
        providers=settings.provider_urls.keys(),
    )
