"""The topic `audit-roots`: a day's root where writers of PostgreSQL cannot reach it.

One record a day, the day as its key, the whole root as JSON.  Roots are sent after
they are in the database, and those that were not, by a process that died in between,
are sent by the next one that looks.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ledger_streams.audit.roots import Root
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.client_options import Bootstrap
from ledger_streams.kafka.log_reader import KafkaLog, opened_log
from ledger_streams.kafka.publisher import KafkaPublisher
from ledger_streams.ports import Message

_root = msgspec.json.Decoder(Root).decode


async def published_roots(log: KafkaLog, topic: str) -> dict[str, list[Root]]:
    """Return by day every root that the topic still has; a second one of a day replaces nothing."""
    found: dict[str, list[Root]] = {}
    async for _, records in log.read(await log.ends([topic])):
        for record in records:
            if record.value is not None:
                root = _root(record.value)
                found.setdefault(root.day, []).append(root)
    return found


async def publish_missing(bootstrap: Bootstrap, topic: str, roots: Sequence[Root]) -> list[str]:
    """Send the roots of days that the topic does not have; return those days."""
    async with opened_log(bootstrap) as log:
        known = await published_roots(log, topic)
    missing = [root for root in roots if root.day not in known]
    if missing:
        async with KafkaPublisher(bootstrap, clock=BrokerClock(), client_id="ledger-audit") as publisher:
            await publisher.publish([Message(topic, root.day, msgspec.json.encode(root)) for root in missing])
    return [root.day for root in missing]
