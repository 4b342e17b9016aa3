"""The topic `audit-roots`: a copy of each day's root that writers of PostgreSQL cannot change.

One record a day: the day is the key, the root as JSON the value.  A root is sent after it is
committed in the database.  The next process sends roots that a killed process did not.
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
    """Return all roots on the topic by day; a day may have several, and none replaces another."""
    found: dict[str, list[Root]] = {}
    async for _, records in log.read(await log.ends([topic])):
        for record in records:
            if record.value is not None:
                root = _root(record.value)
                found.setdefault(root.day, []).append(root)
    return found


async def publish_missing(bootstrap: Bootstrap, topic: str, roots: Sequence[Root]) -> list[str]:
    """Send the roots that are missing on the topic; return their days."""
    async with opened_log(bootstrap) as log:
        known = await published_roots(log, topic)
    missing = [root for root in roots if root.day not in known]
    if missing:
        async with KafkaPublisher(bootstrap, clock=BrokerClock(), client_id="ledger-audit") as publisher:
            await publisher.publish([Message(topic, root.day, msgspec.json.encode(root)) for root in missing])
    return [root.day for root in missing]
