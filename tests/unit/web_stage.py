"""Stage of the web tests: the real views on a real server, with in-memory twins of their services.

`published` keeps all published records.  The domain executes the wallet commands among them
and projects the events at once, as infinitely fast workers would.  A payment ends when the
test ends it.  `away` names the unavailable dependencies.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import faust
from aiohttp.test_utils import TestClient, TestServer

from ledger_streams import wire
from ledger_streams.adapters.outcomes import OutcomePoller
from ledger_streams.adapters.postgres.rows import (
    EventRow,
    PaymentOutcomeRow,
    PaymentRow,
    SinkBatch,
    WalletEventRow,
)
from ledger_streams.domain.payment import fingerprint
from ledger_streams.domain.wallet import Wallet, evolve
from ledger_streams.domain.wallet_decisions import decide
from ledger_streams.domain.wallet_events import WalletEvent
from ledger_streams.ports import Message
from tests.unit.web_twins import MemoryClaims, MemoryPublisher, SwitchedCache, SwitchedReadModel, check_here
from web.http.server import PagesRunner
from web.routes import WEB_SETTINGS, add_pages
from web.services import Services, Topics

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "problems"
NOW = datetime(2026, 11, 24, 22, 0, tzinfo=UTC)
USER = "aaaaaaaa-0000-4000-8000-000000000001"
WALLET = "bbbbbbbb-0000-4000-8000-000000000001"
OTHER_WALLET = "bbbbbbbb-0000-4000-8000-000000000002"
PROVIDERS = frozenset({"acme", "psp"})
PAYMENT = "cccccccc-0000-4000-8000-000000000001"


def deposit(**changes: object) -> dict[str, Any]:
    """A valid deposit under PAYMENT; a change to None leaves the field out."""
    body = {
        "payment_id": PAYMENT,
        "kind": "deposit",
        "target_wallet_id": WALLET,
        "amount": "10.25",
        "currency": "EUR",
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


class Stage:
    """Everything around the views; `client` speaks HTTP with them."""

    client: TestClient[Any, Any]

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.cache = SwitchedCache(self.away)
        self.read_model = SwitchedReadModel(self.away)
        self.claims = MemoryClaims(self.away)
        self.publisher = MemoryPublisher(self.away)
        self.publisher.then = self.carry_out
        self.outcomes = OutcomePoller(self.read_model, interval_ms=1)
        self.projection_wait_s = 5.0
        self.body_wait_s = 5.0
        self.readiness: dict[str, str] = {"tables": "ok", "redis": "ok"}
        self.wallets: dict[str, Wallet] = {}
        self.clock = NOW
        self._ids = 0

    @property
    def published(self) -> list[dict[str, Any]]:
        return [json.loads(message.value) for message in self.publisher.published]

    def services(self) -> Services:
        check_here("worker", self.away)
        return Services(
            read_model=self.read_model,
            cache=self.cache,
            publisher=self.publisher,
            outcomes=self.outcomes,
            claims=self.claims,
            topics=Topics(payment_events="t-payment-events", wallet_commands="t-wallet-commands"),
            now=lambda: NOW,
            new_id=self.new_id,
            providers=PROVIDERS,
            projection_wait_s=self.projection_wait_s,
            body_wait_s=self.body_wait_s,
        )

    def new_id(self) -> str:
        self._ids += 1
        return str(UUID(int=self._ids, version=4))

    async def ready(self) -> Mapping[str, str]:
        check_here("worker", self.away)
        return self.readiness

    async def carry_out(self, message: Message) -> None:
        """Be the wallets agent and the projector of an administrative command."""
        if message.topic != "t-wallet-commands":
            return
        read = wire.read_wallet_command(message.value, key=message.key.encode())
        for event in decide(self.wallets.get(message.key), read.command).events:
            await self.happened(event, causation_id=read.command_id)

    async def happened(self, event: WalletEvent, *, causation_id: str) -> None:
        """Let a wallet event happen, one second after the one before, and project it."""
        self.clock += timedelta(seconds=1)
        wallet = evolve(self.wallets.get(event.wallet_id), event)
        self.wallets[event.wallet_id] = wallet
        at_ms = wire.time_ms(self.clock)
        value = wire.encode_wallet_event(event, wallet, command_id=causation_id, append_ms=at_ms)
        envelope = json.loads(value)
        row = WalletEventRow(
            wallet_id=wallet.wallet_id,
            event_version=wallet.version,
            event_id=envelope["event_id"],
            user_id=wallet.user_id,
            event_type=envelope["event_type"],
            currency=None,
            event_data=json.dumps(envelope["data"]),
            wallet_state=json.dumps(envelope["wallet"]),
            payment_id=envelope["data"]["payment_id"],
            schema_version=1,
            correlation_id=envelope["correlation_id"],
            causation_id=causation_id,
            occurred_at=self.clock,
        )
        await self.read_model.write(SinkBatch({}, wallet_events=[row]))

    async def open(self, wallet_id: str = WALLET, **changes: object) -> None:
        body = {"wallet_id": wallet_id, "user_id": USER, "currencies": ["EUR"]} | changes
        response = await self.client.post("/v1/wallets", json=body)
        assert response.status == 201, await response.text()

    async def requested(self, data: Mapping[str, Any], *, at: datetime = NOW) -> None:
        """Project a PaymentRequested."""
        row = PaymentRow(
            data["payment_id"],
            data["kind"],
            data["amount"],
            data["currency"],
            data.get("source_wallet_id"),
            data.get("target_wallet_id"),
            data.get("provider"),
            data.get("user_id"),
            fingerprint(data),
            at,
        )
        about = (json.dumps(data), 1, at, "payment-events", 0, 0, data["payment_id"], None)
        event = EventRow(str(uuid4()), data["payment_id"], "PaymentRequested", *about)
        await self.read_model.write(SinkBatch({}, events=[event], payments=[row]))

    async def ended(
        self,
        payment_id: str,
        *,
        reason: str | None = None,
        detail: str | None = None,
        wallets: Mapping[str, int] = {},
    ) -> None:
        """Project a payment's outcome, and the last step of its saga."""
        status = "completed" if reason is None else "failed"
        outcome = PaymentOutcomeRow(payment_id, status, reason, detail, json.dumps(wallets), NOW)
        last = "SagaFailed" if reason else "SagaCompleted"
        step = EventRow(str(uuid4()), payment_id, last, "{}", 4, NOW, "saga-events", 0, 0, payment_id, None)
        await self.read_model.write(SinkBatch({}, events=[step], payment_outcomes=[outcome]))


class PagesServer(TestServer):
    """On the connections that a worker has."""

    async def _make_runner(self, **kwargs: Any) -> PagesRunner:
        return PagesRunner(self.app, **kwargs)


@asynccontextmanager
async def served(stage: Stage) -> AsyncIterator[Stage]:
    """Serve the stage's pages on a port of their own, from a Faust app that is not started."""
    app = faust.App("web-tests", broker="kafka://127.0.0.1:1", **WEB_SETTINGS)
    add_pages(app, stage.services, stage.ready)
    app.web.init_server()
    async with stage.outcomes, TestClient(PagesServer(app.web.web_app)) as client:
        stage.client = client
        yield stage


def check_golden(name: str, problem: Mapping[str, Any]) -> None:
    """Compare with the problem that is checked in; LEDGER_GOLDEN=write writes it instead."""
    file = GOLDEN / f"{name}.json"
    text = json.dumps(problem, indent=2, sort_keys=True) + "\n"
    if os.environ.get("LEDGER_GOLDEN") == "write":
        file.write_text(text, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == text
