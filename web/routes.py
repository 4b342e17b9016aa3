"""Routes: the table of paths and views, and the functions that add them to an app.

Paths match exactly: `/v1/wallets/` is not `/v1/wallets`.  Views and agents share one
event loop, so the app must not run its web server in a separate thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, cast

import faust
import msgspec
from faust.web.base import BlueprintManager
from faust.web.drivers.aiohttp import Web

from web.health import Live, Metrics, Ready
from web.http.middleware import answer_in_problems
from web.http.openapi import OpenApi, document
from web.http.server import PagesRunner
from web.payments.batches import Batches
from web.payments.holds import HoldDetail, HoldRelease, Holds
from web.payments.refunds import Refund
from web.payments.views import PaymentDetail, Payments
from web.services import DOCUMENT, READINESS, SERVICES, Readiness, Services
from web.views import LedgerView
from web.wallets.balances import Balance
from web.wallets.commands import Close, Freeze, Limits, Unfreeze
from web.wallets.statements import WalletStatement
from web.wallets.views import UserWallets, WalletDetail, WalletEvents, Wallets

API_PAGES: Final[tuple[tuple[str, type[LedgerView]], ...]] = (
    ("/v1/wallets", Wallets),
    ("/v1/wallets/{wallet_id}", WalletDetail),
    ("/v1/wallets/{wallet_id}/balance", Balance),
    ("/v1/wallets/{wallet_id}/statement", WalletStatement),
    ("/v1/wallets/{wallet_id}/events", WalletEvents),
    ("/v1/wallets/{wallet_id}/freeze", Freeze),
    ("/v1/wallets/{wallet_id}/unfreeze", Unfreeze),
    ("/v1/wallets/{wallet_id}/close", Close),
    ("/v1/wallets/{wallet_id}/limits", Limits),
    ("/v1/wallets/{wallet_id}/holds", Holds),
    ("/v1/wallets/{wallet_id}/holds/{hold_id}", HoldDetail),
    ("/v1/wallets/{wallet_id}/holds/{hold_id}/release", HoldRelease),
    ("/v1/users/{user_id}/wallets", UserWallets),
    ("/v1/payments", Payments),
    ("/v1/payments/batch", Batches),
    ("/v1/payments/{payment_id}", PaymentDetail),
    ("/v1/payments/{payment_id}/refund", Refund),
    ("/openapi.json", OpenApi),
)

HEALTH_PAGES: Final[tuple[tuple[str, type[LedgerView]], ...]] = (
    ("/health/live", Live),
    ("/health/ready", Ready),
    ("/metrics", Metrics),
)

BATCH_IS_NO_ID: Final = ("{payment_id}", "{payment_id:(?!batch$)[^/]+}")
"""Keeps `/v1/payments/batch` out of the payment's route: GET on it answers 405, not 404."""

WEB_SETTINGS: Final[Mapping[str, bool]] = {
    "web_tables_enabled": False,
    "web_router_enabled": False,
    "web_stats_enabled": False,
    "web_graph_enabled": False,
    "web_metrics_enabled": False,
    "web_in_thread": False,
}
"""Settings that an app needs to serve these pages.

Faust's own pages would show tables, topology and statistics without authentication.
"""


def add_pages(app: faust.App, services: Callable[[], Services], readiness: Readiness) -> None:
    """Add the API pages and the health pages to `app`.

    Each request calls `services`, which raises `Unavailable` (503) until the connections are open.
    """

    _web_of(app).web_app[SERVICES] = services
    _web_of(app).web_app[DOCUMENT] = msgspec.json.encode(document((*API_PAGES, *HEALTH_PAGES)))
    _add(app, API_PAGES)
    add_health(app, readiness)


def add_health(app: faust.App, readiness: Readiness) -> None:
    """Add only the health pages to `app`."""
    server = _web_of(app)
    server.blueprints = (
        BlueprintManager()
    )  # drops Faust's own pages: environment variables can override WEB_SETTINGS
    web_app = server.web_app
    server._runner = PagesRunner(web_app, access_log=None)
    web_app[READINESS] = readiness
    web_app.middlewares.insert(0, answer_in_problems)
    _add(app, HEALTH_PAGES)


def _add(app: faust.App, pages: tuple[tuple[str, type[LedgerView]], ...]) -> None:
    for path, view in pages:
        app.page(path.replace(*BATCH_IS_NO_ID), name=view.__name__)(view)


def _web_of(app: faust.App) -> Web:
    return cast(Web, app.web)
