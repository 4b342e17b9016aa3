"""Kafka unavailable: readiness reports it within seconds, and a request with `wait` is answered in time."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from ledger_streams import topics
from ledger_streams.kafka.readiness import KafkaReadiness
from ledger_streams.settings import Settings
from tests.live import LiveSystem, eventually, running
from tests.own_broker import OwnBroker, own_broker
from tests.own_system import own_system
from tests.projected import new_id

pytestmark = pytest.mark.slow

NOTICED_S_MAX: Final = 4.0
"""A second until the last answer is old, a second for the broker, and a busy machine."""
SLACK_S: Final = 1.5
NO_BROKER: Final = "no broker answered within 1 s"

Own = tuple[OwnBroker, Settings]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnBroker]:
    with own_broker(tmp_path_factory.mktemp("broker") / "kafka") as broker:
        yield broker


@pytest.fixture
async def own(stack: Settings, broker: OwnBroker, tmp_path: Path) -> AsyncIterator[Own]:
    async with own_system(stack.model_copy(update={"kafka": broker.address}), tmp_path) as settings:
        yield broker, settings
        broker.signal(signal.SIGCONT)


async def until_says(check: KafkaReadiness, wanted: str | None, seconds: float) -> None:
    async def says() -> bool:
        return await check.problem() == wanted

    await eventually(says, what=f"the check says {wanted}", seconds=seconds, every_s=0.1)


def deposit() -> dict[str, Any]:
    return {"kind": "deposit", "target_wallet_id": new_id(), "amount": "1", "currency": "EUR"}


@pytest.mark.timeout(180)
async def test_a_hanging_or_stopped_broker_and_missing_topics_are_detected(own: Own) -> None:
    broker, settings = own
    names = [settings.topic(topics.PAYMENT_EVENTS), settings.topic(topics.WALLET_COMMANDS)]
    check = KafkaReadiness(settings.kafka, names, client_id="test")
    other = KafkaReadiness(settings.kafka, [*names, "no-such-topic"], client_id="test")
    try:
        assert await check.problem() is None
        assert await other.problem() == "no such topic: no-such-topic"
        broker.signal(signal.SIGSTOP)
        await until_says(check, NO_BROKER, NOTICED_S_MAX)
        broker.signal(signal.SIGCONT)
        await until_says(check, None, 20)
        await broker.kill()
        await until_says(check, NO_BROKER, NOTICED_S_MAX)
        await broker.start()
        await until_says(check, None, 20)
    finally:
        await check.close()
        await other.close()


@pytest.mark.timeout(180)
async def test_while_kafka_hangs_ready_reports_it_and_a_payment_with_wait_is_answered_in_time(
    own: Own,
) -> None:
    broker, settings = own
    async with running(settings) as live:
        live.start("api")
        await live.ready(command="api")
        broker.signal(signal.SIGSTOP)
        await eventually(partial(_is_unready, live), what="not ready", seconds=NOTICED_S_MAX + 2)
        began_s, body = time.monotonic(), deposit() | {"payment_id": new_id()}
        status, problem, headers = await live.request("POST", "/v1/payments?wait=5", json=body, command="api")
        took_s = time.monotonic() - began_s
        assert (status, headers["Retry-After"]) == (503, "2"), problem
        assert (
            f"The payment may have been accepted. Sending again with payment_id {body['payment_id']}"
            in (problem["detail"])
        )
        assert took_s < 5 + SLACK_S
        broker.signal(signal.SIGCONT)
        await live.ready(command="api")
        status, _, _ = await live.request("POST", "/v1/payments", json=body, command="api")
        assert status == 202, "the same payment again"


async def _is_unready(live: LiveSystem) -> bool:
    status, problem, _ = await live.request("GET", "/health/ready", command="api")
    return status == 503 and f"kafka ({NO_BROKER})" in problem["detail"]
