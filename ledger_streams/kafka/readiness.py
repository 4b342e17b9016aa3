"""Whether Kafka can be read and written now: a process's own topics, and the leaders of their partitions.

Each leader is asked for the topics' metadata and has a second to answer: a broker that hangs is
still the leader of its partitions for some seconds in what the others say.  An answer is good for a second,
for all who ask meanwhile, so that probes, however many, are no load.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from ledger_streams.bounded_close import close_within
from ledger_streams.kafka.client_options import Bootstrap, options
from ledger_streams.kafka.requests import REQUEST_TIMEOUT_MS

ANSWER_S_MAX: Final = 1.0
"""A broker that takes longer for its metadata takes no payment in time either."""
LOOK_S_MAX: Final = 2.5
"""Of a whole look: to connect, to ask the known leaders, and to ask those that they name."""
FRESH_S: Final = 1.0
NAMED_MAX: Final = 5
"""Topics and partitions named in an answer."""

Partition = tuple[str, int]


class KafkaReadiness:
    """Checks the leaders of some topics; `close` it at the end."""

    def __init__(self, bootstrap: Bootstrap, topics: Iterable[str], *, client_id: str) -> None:
        self._bootstrap = bootstrap
        self._topics = sorted(topics)
        self._client_id = client_id
        self._client: AIOKafkaClient | None = None
        self._leaders: frozenset[int] = frozenset()
        self._one_at_a_time = asyncio.Lock()
        self._problem: str | None = None
        self._looked_s = float("-inf")
        self._is_closed = False

    async def problem(self) -> str | None:
        """Return the problem as a public text; None when all partitions have leaders."""
        async with self._one_at_a_time:
            if not self._is_closed and time.monotonic() - self._looked_s > FRESH_S:
                self._problem = await self._look()
                self._looked_s = time.monotonic()
            return self._problem

    async def close(self) -> None:
        """Disconnect; no further check is possible."""
        self._is_closed = True
        self._problem = "the process is stopping"
        client, self._client = self._client, None
        if client is not None:
            await close_within("the readiness client", client.close())

    async def _look(self) -> str | None:
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                client = await self._connected()
                return await self._found(client)
        except (KafkaError, OSError):  # TimeoutError is one of them
            return f"no broker answered within {ANSWER_S_MAX:.0f} s"

    async def _connected(self) -> AIOKafkaClient:
        if self._client is None:
            client = AIOKafkaClient(
                **options(self._bootstrap),
                client_id=self._client_id,
                request_timeout_ms=min(REQUEST_TIMEOUT_MS, int(ANSWER_S_MAX * 1000)),
            )
            try:
                await client.bootstrap()
            except BaseException:  # a look that runs out of time, too, leaves connections to be closed
                await close_within("the readiness client", client.close())
                raise
            self._client = client
        return self._client

    async def _found(self, client: AIOKafkaClient) -> str | None:
        """Ask the leaders as they were last known, else all brokers; then those named only now."""
        known = {broker.nodeId for broker in client.cluster.brokers()}
        answers = await self._ask(client, self._leaders & known or known)
        if not answers:
            answers = await self._ask(client, known - self._leaders)
        if not answers:
            self._leaders = frozenset()
            client.force_metadata_update()
            return f"no broker answered within {ANSWER_S_MAX:.0f} s"
        named = {node for answer in answers.values() for node in _leaders(answer).values() if node >= 0}
        answers |= await self._ask(client, (named & known) - answers.keys() - self._leaders)
        self._leaders = frozenset(named)
        return self._judged(answers)

    async def _ask(self, client: AIOKafkaClient, nodes: Iterable[int]) -> dict[int, Sequence[Any]]:
        """Return what each broker says of the topics, of those that answer in time."""
        asked = sorted(nodes)
        answers = await asyncio.gather(*(self._describe(client, node) for node in asked))
        return {node: answer for node, answer in zip(asked, answers, strict=True) if answer is not None}

    async def _describe(self, client: AIOKafkaClient, node: int) -> Sequence[Any] | None:
        request = MetadataRequest(self._topics, allow_auto_topic_creation=False)
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                answer = await client.send(node, request)
        except (KafkaError, OSError):
            return None
        described: Sequence[Any] = answer.to_object()["topics"]
        return described

    def _judged(self, answers: Mapping[int, Sequence[Any]]) -> str | None:
        """Return the problem in all answers; one broker that names a live leader suffices."""
        leaders: dict[Partition, set[int]] = {}
        for answer in answers.values():
            for partition, leader in _leaders(answer).items():
                leaders.setdefault(partition, set()).add(leader)
        missing = sorted(set(self._topics) - {topic for topic, _ in leaders})
        if missing:
            return f"no such topic: {_some(missing)}"
        led = {partition for partition, nodes in leaders.items() if nodes & answers.keys()}
        if alone := sorted(leaders.keys() - led):
            return f"partitions without a leader that answers: {_some([f'{t} {n}' for t, n in alone])}"
        return None


def _leaders(answer: Sequence[Any]) -> dict[Partition, int]:
    """Return the leader of each partition of the topics that exist; -1 where there is none."""
    return {
        (topic["topic"], partition["partition"]): partition["leader"]
        for topic in answer
        for partition in topic["partitions"]
    }


def _some(names: Sequence[str]) -> str:
    further = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return ", ".join(names[:NAMED_MAX]) + further
