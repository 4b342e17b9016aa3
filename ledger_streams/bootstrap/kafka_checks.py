"""Kafka wiring: the check of each app's own topics, for its readiness."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from ledger_streams import topics
from ledger_streams.bounded_close import close_within
from ledger_streams.engine.state.takeover_progress import PublicText
from ledger_streams.kafka.readiness import KafkaReadiness
from ledger_streams.kafka_settings import client_options
from ledger_streams.settings import settings

LETTERS: Final = tuple(
    topics.dead_letters(name) for name in (topics.PAYMENT_EVENTS, topics.SAGA_EVENTS, topics.WALLET_COMMANDS)
)
TOPICS_OF: Final = MappingProxyType(
    {
        "worker": (
            topics.PAYMENT_EVENTS,
            topics.SAGA_EVENTS,
            topics.WALLET_EVENTS,
            topics.WALLET_COMMANDS,
            topics.SAGA_COMMANDS,
            topics.PROVIDER_REQUESTS,
            topics.PAYMENTS_CHANGELOG,
            topics.SAGAS_CHANGELOG,
            *LETTERS,
        ),
        "api": (topics.PAYMENT_EVENTS, topics.WALLET_COMMANDS),
        "gateway": (topics.PROVIDER_REQUESTS, topics.PROVIDER_POSITIONS, topics.SAGA_EVENTS),
        "projector": (topics.PAYMENT_EVENTS, topics.SAGA_EVENTS, topics.WALLET_EVENTS),
    }
)
"""The topics that each kind of process reads or writes as it works."""

_checks: dict[str, KafkaReadiness] = {}


async def kafka_state(kind: str) -> str:
    """Return `ok`, or what is wrong with the topics of a worker, api, gateway or projector."""
    if kind not in _checks:
        config = settings()
        names = [config.topic(name) for name in TOPICS_OF[kind]]
        client_id = f"{config.app_id}-readiness-{config.worker_id}"
        _checks[kind] = KafkaReadiness(client_options(config), names, client_id=client_id)
    problem = await _checks[kind].problem()
    return "ok" if problem is None else PublicText(problem)


async def close_kafka_checks() -> None:
    """Disconnect; from now on the process is not ready."""
    for check in _checks.values():
        await close_within("a check of Kafka", check.close())
