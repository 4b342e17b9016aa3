"""LiveModel: a live system as a System, seen from outside: topics, PostgreSQL, HTTP, a provider's book.

Records and commands go straight onto Kafka, through one idempotent producer that outlives
a broker's death, so nothing is sent twice and nothing is waited for before `settle`.
Settled is: the ledger has read all that was sent, every payment that can be named has
ended, every refund has been told, and the projector has reached the log's end.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

import aiohttp
import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import RecordMetadata

from ledger_streams import topics, wire
from ledger_streams.domain.ids import derived_id
from tests.e2e.outside import read
from tests.live import LiveSystem, eventually
from tests.model.system import Administration, Booked, Ended, Funds, Held, Parked, Refunded, Sent

SETTLED_S_MAX: Final = 240.0
"""A provider's patience, a takeover and a table built anew, on a machine with other work."""
DELIVERY_MS_MAX: Final = 120_000
"""A broker that is alone, and killed, is back well before; until then what was sent waits here."""
REQUEST_TIMEOUT_MS: Final = 5_000
"""One of several that hangs is given up after this, and its successor asked."""
GONE_BACK: Final = "dlq.redriven"
OUTCOMES: Final = frozenset({"PaymentCompleted", "PaymentFailed"})
ALL_TOLD: Final = (
    "SELECT count(*) FILTER (WHERE ended_at IS NULL) AS under_way,"
    " count(*) FILTER (WHERE payment_id = ANY($1::uuid[])) AS known,"
    " coalesce(sum(refunded), 0) - coalesce(sum(amount) FILTER"
    " (WHERE kind = 'refund' AND status = 'completed'), 0) AS untold FROM payments"
)


class LiveModel:
    """A running system with its own topics; `reconciled` is the last settlement's reconciliation."""

    def __init__(self, live: LiveSystem) -> None:
        self._live = live
        self._producer: AIOKafkaProducer | None = None
        self._deliveries: list[asyncio.Future[RecordMetadata]] = []
        self.named: set[str] = set()
        """The payments that have to end."""
        self._commands = 0
        self.reconciled: dict[str, Any] = {}

    async def aclose(self) -> None:
        """Give up the producer."""
        if self._producer is not None:
            await self._producer.stop()

    async def administer(self, command: Administration) -> None:
        self._commands += 1
        command_id = derived_id(f"administrative:{self._live.settings.app_id}:{self._commands}")
        value = wire.encode_administrative(
            command, command_id=command_id, occurred_ms=time.time_ns() // 1_000_000
        )
        await self._send(topics.WALLET_COMMANDS, command.wallet_id.encode(), value)

    async def submit(self, records: Sequence[Sent]) -> None:
        for record in records:
            self.named |= payment_of(record)
            await self._send(topics.PAYMENT_EVENTS, record.key, record.value)

    async def settle(self) -> None:
        sent = [await delivery for delivery in self._deliveries]
        read_to: Counter[TopicPartition] = Counter()
        for one in sent:
            at = TopicPartition(one.topic, one.partition)
            read_to[at] = max(read_to[at], one.offset)

        async def is_read() -> bool:
            committed = await self._committed()
            return all(tp in committed and committed[tp] > offset for tp, offset in read_to.items())

        async def all_told() -> bool:
            (row,) = await self._live.rows(ALL_TOLD, list(self.named))
            return (row["under_way"], row["known"], row["untold"]) == (0, len(self.named), 0)

        await eventually(is_read, what="all that was sent is read", seconds=SETTLED_S_MAX, every_s=0.5)
        await eventually(all_told, what="every payment has ended", seconds=SETTLED_S_MAX, every_s=0.5)
        _, out, err = await self._live.command("reconcile", "--rocksdb", "--wait", "60", "--json")
        assert out, err
        self.reconciled = msgspec.json.decode(out)

    async def outcomes(self) -> Mapping[str, Sequence[Ended]]:
        found: dict[str, list[Ended]] = defaultdict(list)
        for event in await self._events(topics.PAYMENT_EVENTS):
            if event["event_type"] in OUTCOMES:
                data = event["data"]
                minor = _minor(data["amount"], data["currency"]) if "amount" in data else 0
                found[data["payment_id"]].append(Ended(event["event_type"], data.get("reason"), minor))
        return found

    async def refunds(self) -> Mapping[str, Sequence[Refunded]]:
        found: dict[str, list[Refunded]] = defaultdict(list)
        for event in await self._events(topics.PAYMENT_EVENTS):
            if event["event_type"] == "PaymentRefunded":
                data = event["data"]
                sums = [_minor(data[field], data["currency"]) for field in ("amount", "refunded", "paid")]
                found[data["payment_id"]].append(Refunded(data["refund_id"], *sums))
        return found

    async def dead_letters(self) -> Sequence[Parked]:
        """Return the letters, but for those that were sent back and parked again, see `sent_back`."""
        return [
            Parked(kept.key, kept.value, dict(kept.headers)["dlq.reason"].decode())
            for kept in await read(self._live, topics.dead_letters(topics.PAYMENT_EVENTS))
            if GONE_BACK not in dict(kept.headers)
        ]

    async def sent_back(self) -> Sequence[str]:
        """Return the places of letters that are there once more since they were sent back."""
        letters = await read(self._live, topics.dead_letters(topics.PAYMENT_EVENTS))
        headers = [dict(letter.headers) for letter in letters]
        return [own[GONE_BACK].decode() for own in headers if GONE_BACK in own]

    async def balances(self) -> Mapping[str, Mapping[str, Funds]]:
        found = {}
        for wallet_id in await self.versions():
            wallet = await self._page(f"/v1/wallets/{wallet_id}")
            found[wallet_id] = {
                currency: Funds(_minor(shown["available"], currency), _minor(shown["held"], currency))
                for currency, shown in wallet["balances"].items()
            }
        return found

    async def holds(self) -> Mapping[str, Held]:
        found = {}
        for wallet_id in await self.versions():
            for hold in (await self._page(f"/v1/wallets/{wallet_id}/holds"))["holds"]:
                minor = _minor(hold["amount"], hold["currency"])
                found[hold["hold_id"]] = Held(wallet_id, minor, hold["currency"])
        return found

    async def booked(self) -> Mapping[str, Booked]:
        found = {}
        async with aiohttp.ClientSession() as session:
            for provider, url in self._live.settings.provider_urls.items():
                async with session.get(f"{url}/book?keys=1") as answer:
                    for row in (await answer.json())["keys"]:
                        minor = _minor(row["amount"], row["currency"])
                        found[row["payment_id"]] = Booked(provider, row["kind"], minor, row["currency"])
        return found

    async def postings(self) -> Mapping[str, int]:
        rows = await self._live.rows(
            "SELECT account, currency, sum(amount_minor) AS minor FROM postings GROUP BY account, currency"
        )
        return {f"{row['account']}:{row['currency']}": int(row["minor"]) for row in rows}

    async def versions(self) -> Mapping[str, Sequence[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for event in await self._events(topics.WALLET_EVENTS):
            found[event["aggregate_id"]].append(event["event_version"])
        return found

    async def repeated_events(self) -> Sequence[str]:
        counts: Counter[str] = Counter()
        for topic in (topics.PAYMENT_EVENTS, topics.SAGA_EVENTS, topics.WALLET_EVENTS):
            counts.update(event["event_id"] for event in await self._events(topic))
        return [event_id for event_id, count in counts.items() if count > 1]

    async def letters_elsewhere(self) -> Sequence[bytes | None]:
        """Return the dead letters of the topics that only the ledger's own agents write."""
        own = (topics.SAGA_EVENTS, topics.WALLET_COMMANDS)
        return [kept.value for topic in own for kept in await read(self._live, topics.dead_letters(topic))]

    async def _send(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        if self._producer is None:
            is_alone = "," not in self._live.settings.kafka
            self._producer = AIOKafkaProducer(
                bootstrap_servers=self._live.settings.kafka,
                enable_idempotence=True,
                request_timeout_ms=DELIVERY_MS_MAX if is_alone else REQUEST_TIMEOUT_MS,
            )
            await self._producer.start()
        while True:
            with suppress(KafkaTimeoutError):  # full: a broker is away, and what it has to get waits here
                delivery = await self._producer.send(self._live.settings.topic(topic), value, key=key)
                self._deliveries.append(delivery)
                return

    async def _committed(self) -> dict[TopicPartition, int]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._live.settings.kafka)
        await admin.start()
        try:
            offsets = await admin.list_consumer_group_offsets(self._live.settings.app_id)
            return {tp: int(kept.offset) for tp, kept in offsets.items()}
        finally:
            await admin.close()

    async def _events(self, topic: str) -> list[dict[str, Any]]:
        """Return the readable records of a topic as objects; what cannot be read is not the ledger's.

        Nor is what was sent back from the dead letters, which is there a second time.
        """
        found = []
        for kept in await read(self._live, topic):
            if GONE_BACK in dict(kept.headers):
                continue
            try:
                event = msgspec.json.decode(kept.value or b"")
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict):
                found.append(event)
        return found

    async def _page(self, path: str) -> Any:
        status, body, _ = await self._live.request("GET", path)
        assert status == 200, (path, body)
        return body


def payment_of(record: Sent) -> set[str]:
    """Return the payment that a record names, which has to end; nobody hears of one it does not name."""
    try:
        event = msgspec.json.decode(record.value or b"")
        payment_id = event["data"]["payment_id"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return set()
    is_known = event["event_type"] == "PaymentRequested" and record.key == str(payment_id).encode()
    return {payment_id} if is_known else set()


def _minor(amount: str, currency: str) -> int:
    """Return an amount in minor units; it may be negative or nothing, as balances are."""
    digits = 0 if currency == "JPY" else 2
    return int(Decimal(amount).scaleb(digits))
