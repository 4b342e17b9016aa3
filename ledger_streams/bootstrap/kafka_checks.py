"""kafka_checks: the check of an app's own topics, for its readiness."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from ledger_streams import topics
from ledger_streams.bounded_close import close_within
from ledger_streams.engine.state.takeover_progress import PublicText
from ledger_streams.kafka.readiness import KafkaReadiness
from ledger_streams.kafka_settings import client_options
from ledger_streams.settings import Settings

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
"""The topics that each kind of process reads or writes."""


class TopicsCheck:
    """Checks the topics of one kind of process; connects at the first check."""

    def __init__(self, settings: Settings, kind: str) -> None:
        """`kind` is worker, api, gateway or projector."""
        self._settings = settings
        self._topics = [settings.topic(name) for name in TOPICS_OF[kind]]
        self._kafka: KafkaReadiness | None = None

    async def state(self) -> str:
        """Return `ok`, or the problem with the topics."""
        if self._kafka is None:
            client_id = f"{self._settings.app_id}-readiness-{self._settings.worker_id}"
            self._kafka = KafkaReadiness(client_options(self._settings), self._topics, client_id=client_id)
        problem = await self._kafka.problem()
        return "ok" if problem is None else PublicText(problem)

    async def close(self) -> None:
        """Disconnect; from now on the process is not ready."""
        if self._kafka is not None:
            await close_within("a check of Kafka", self._kafka.close())
