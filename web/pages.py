"""Pages: the views on the ledger's app and on the api's, with the process's connections as their services.

Importing this module adds them.  Here, and nowhere else in the web, are the clock (the
broker's) and the randomness.
"""

from __future__ import annotations

from uuid import uuid4

from ledger_streams.bootstrap.apps import api, clock, ledger
from ledger_streams.bootstrap.kafka_checks import close_kafka_checks
from ledger_streams.bootstrap.web_services import connections, readiness, worker_readiness
from ledger_streams.settings import settings
from ledger_streams.topics import PAYMENT_EVENTS, WALLET_COMMANDS
from web.http.graceful_shutdown import add_graceful_shutdown
from web.routes import add_pages
from web.services import Services, Topics


def services() -> Services:
    """Return the services of this process; raises Unavailable while it starts or stops."""
    opened = connections()
    return Services(
        read_model=opened.read_model,
        cache=opened.cache,
        publisher=opened.publisher,
        outcomes=opened.outcomes,
        claims=opened.claims,
        topics=Topics(
            payment_events=settings().topic(PAYMENT_EVENTS),
            wallet_commands=settings().topic(WALLET_COMMANDS),
        ),
        now=clock.now,
        new_id=lambda: str(uuid4()),
        providers=settings().provider_urls.keys(),
    )


add_pages(ledger, services, worker_readiness)
add_pages(api, services, readiness)
for app in (ledger, api):
    app.before_stop.append(add_graceful_shutdown(app, linger_s=settings().drain_s))
    app.before_stop.append(close_kafka_checks)
