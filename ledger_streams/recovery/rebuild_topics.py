"""Rebuild of all topics from PostgreSQL after the loss of Kafka.

It writes the last record of each wallet, and for each payment its fingerprint, its saga, the events
that the projections lack, and the commands the saga waits for.  One Kafka transaction holds all of
this and the groups' offsets.  A PostgreSQL transaction then moves the projections' positions, from
the old positions noted in the first one.  The command may be killed at any point and run again.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from faust.types import TP

from ledger_streams import rights, topics, wire
from ledger_streams.adapters.postgres.lost_log import LostLogRows, move_positions, open_lost_log_rows
from ledger_streams.adapters.postgres.reconciliation import Difference
from ledger_streams.domain.payment import PaymentKnown
from ledger_streams.domain.saga.transitions import ENDS
from ledger_streams.engine.partitioned_topic import partitioned_topic
from ledger_streams.engine.state.log_generation import GENERATION_GROUP, groups_with_members, read_generation
from ledger_streams.engine.state.restore import source_header
from ledger_streams.errors import InvariantBroken
from ledger_streams.kafka.log_reader import KafkaLog, Partition, opened_log
from ledger_streams.kafka.topic_filling import Filled, Filling
from ledger_streams.kafka_settings import client_options
from ledger_streams.reconciliation.rocksdb_tables import further_wallets
from ledger_streams.recovery.saga_resume import ResumedPayment
from ledger_streams.recovery.saga_resume_facts import LostLeg
from ledger_streams.recovery.saga_resume_families import ResumeTerms, resume_families
from ledger_streams.recovery.saga_resume_records import PaymentFactsCollector
from ledger_streams.recovery.wallet_resume import reissue_lost_legs
from ledger_streams.settings import Settings

Say = Callable[[str], None]
PROJECTED: Final = (topics.PAYMENT_EVENTS, topics.SAGA_EVENTS, topics.WALLET_EVENTS)
CHANGELOGS: Final = (topics.PAYMENTS_CHANGELOG, topics.SAGAS_CHANGELOG)
NEVER: Final = "-"
"""Note of a partition that was never projected."""
START: Final = b"0"


class TopicRebuildResult(msgspec.Struct, frozen=True):
    """Result: records written and wallets lost."""

    wallets: int = 0
    payments: int = 0
    under_way: int = 0
    """Payments that continue when the workers start."""
    records: dict[str, int] = {}
    """Records written by topic."""
    legs_again: int = 0
    """Legs written again: their wallet events were lost, other records prove them."""
    lost: list[Difference] = []
    """Wallets with a later version in a worker's table; that state is lost."""
    is_written: bool = True
    """False when nothing was written, since tables have later versions than PostgreSQL."""
    was_written_before: bool = False


async def rebuild_topics(config: Settings, say: Say, *, despite_tables: bool) -> TopicRebuildResult:
    """Fill the empty topics from PostgreSQL and move the projections to them."""
    async with (
        Filling(
            client_options(config),
            transactional_id=f"{config.app_id}{GENERATION_GROUP}",
            topics=rights.transactional_topics(config, "operator"),
        ) as filling,
        opened_log(client_options(config)) as log,
    ):
        groups = [config.app_id, f"{config.app_id}-projector", f"{config.app_id}-gateway"]
        if running := await groups_with_members(client_options(config), groups):
            raise InvariantBroken(f"stop everything first: somebody is in {', '.join(running)}")
        partitions = await log.ends([config.topic(name) for name in (*PROJECTED, *CHANGELOGS)])
        result = TopicRebuildResult(was_written_before=True)
        if not await read_generation(client_options(config), config.app_id, partitions):
            await _check_empty(log, config)
            async with open_lost_log_rows(config.postgres_owner) as left:
                result = await _TopicRebuild(config, filling, left, say).run(list(partitions), despite_tables)
        if result.is_written:
            say("Topics written; moving the projections' positions")
            await _move_positions(config, partitions)
    return result


async def _check_empty(log: KafkaLog, config: Settings) -> None:
    names = {spec.name for spec in topics.TOPICS} - {topics.AUDIT_ROOTS}  # projectors publish roots again
    ends = await log.ends([config.topic(name) for name in sorted(names)])
    async for (topic, number), _ in log.read(ends):
        raise InvariantBroken(
            f"{topic}[{number}] has records: topics are rebuilt only when all of them are empty"
        )


async def _move_positions(config: Settings, partitions: Mapping[Partition, int]) -> None:
    """Move PostgreSQL's positions to the offsets that the Kafka transaction committed."""
    notes = await read_generation(client_options(config), config.app_id, partitions)
    projected = {config.topic(name) for name in PROJECTED}
    after = {place: commit.offset for place, commit in notes.items() if place[0] in projected}
    before = {place: notes[place].metadata.partition(" ")[2] for place in after}
    positions = {place: None if at == NEVER else int(at) for place, at in before.items()}
    await move_positions(config.postgres_owner, before=positions, after=after)


class _TopicRebuild:
    """Writes the topics in one transaction."""

    def __init__(self, config: Settings, filling: Filling, left: LostLogRows, say: Say) -> None:
        self._config = config
        self._filling = filling
        self._left = left
        self._say = say
        self._wallets: dict[str, bytes] = {}
        self._counts: Counter[str] = Counter()

    async def run(self, partitions: Sequence[Partition], despite_tables: bool) -> TopicRebuildResult:
        async for key, value in self._left.wallet_events(last=True):
            self._wallets[key.decode()] = value
        versions = {key: wire.decode_envelope(value).event_version for key, value in self._wallets.items()}
        lost = further_wallets(self._config.home, versions)
        if lost and not despite_tables:
            return TopicRebuildResult(lost=lost, is_written=False)
        gathered = await self._gather()
        self._say(f"{len(self._wallets):,} wallets and {len(gathered.payments):,} payments are known")
        await self._filling.begin()
        await self._write([(topics.WALLET_EVENTS, key, value) for key, value in self._wallets.items()])
        known = dict(self._filling.nexts)
        under_way, legs = await self._payments(gathered)
        await self._reissue(legs)
        await self._filling.commit(await self._offsets(partitions, known))
        return TopicRebuildResult(
            len(self._wallets),
            len(gathered.payments),
            under_way,
            dict(self._counts),
            sum(map(len, legs.values())),
            lost,
        )

    async def _gather(self) -> PaymentFactsCollector:
        gathered = PaymentFactsCollector()
        for payment_id, fingerprint in (await self._left.fingerprints()).items():
            gathered.add_fingerprint(payment_id, fingerprint)
        payment_events = self._config.topic(topics.PAYMENT_EVENTS)
        async for record in self._left.events():
            if record.topic == payment_events:
                gathered.add_payment_event(record.value, key=record.key, at_ms=record.timestamp)
            else:
                gathered.add_saga_event(record.value, key=record.key)
        async for key, value in self._left.wallet_events(last=False):
            gathered.add_wallet_event(value, key=key)
        return gathered

    async def _payments(self, gathered: PaymentFactsCollector) -> tuple[int, dict[str, list[LostLeg]]]:
        """Write every payment; return the number in flight and the lost legs of each wallet."""
        config, now_ms = self._config, int(time.time() * 1_000)
        terms = ResumeTerms(now_ms, config.provider_patience_ms, config.provider_urls)
        legs: dict[str, list[LostLeg]] = defaultdict(list)
        under_way = 0
        for family in resume_families(gathered, terms):
            for payment_id, resumed in family.items():
                await self._payment(payment_id, resumed)
                under_way += resumed.saga is not None and resumed.saga.status not in ENDS
                for leg in resumed.lost:
                    legs[leg.command.wallet_id].append(leg)
        return under_way, legs

    async def _payment(self, payment_id: str, resumed: ResumedPayment) -> None:
        known = wire.encode_known_payment(PaymentKnown(resumed.fingerprint))
        records = [(topics.PAYMENTS_CHANGELOG, payment_id, known)]
        if resumed.saga is not None:
            records.append((topics.SAGAS_CHANGELOG, payment_id, wire.encode_saga_state(resumed.saga)))
        await self._write([*records, *((sent.topic, sent.key, sent.value) for sent in resumed.sent)])

    async def _reissue(self, legs: Mapping[str, Sequence[LostLeg]]) -> None:
        for wallet_id, lost in legs.items():
            value = self._wallets.get(wallet_id)
            events = reissue_lost_legs(None if value is None else wire.read_wallet(value), lost)
            await self._write([(topics.WALLET_EVENTS, wallet_id, event.value) for event in events])

    async def _write(self, records: Sequence[tuple[str, str, bytes]]) -> None:
        found: list[Filled] = []
        for topic, text, value in records:
            key = text.encode()
            place: TP = partitioned_topic(self._config, topic).for_key(key)
            found.append(Filled((place.topic, place.partition), key, value, self._headers(topic)))
            self._counts[topic] += 1
        await self._filling.write(found)

    def _headers(self, topic: str) -> Sequence[tuple[str, bytes]]:
        if topic == topics.SAGAS_CHANGELOG:
            further = source_header(self._config.topic(topics.SAGA_COMMANDS))
            return ((source_header(None), START), (further, START))
        is_changelog = topic in (topics.PAYMENTS_CHANGELOG, topics.WALLET_EVENTS)
        return ((source_header(None), START),) if is_changelog else ()

    async def _offsets(
        self, partitions: Sequence[Partition], known: Mapping[Partition, int]
    ) -> dict[str, dict[Partition, tuple[int, str]]]:
        """Return the offsets of workers and projectors; metadata has the log id and old positions."""
        config, nexts = self._config, self._filling.nexts
        name, projected = str(uuid.uuid4()), await self._left.positions()
        events = {config.topic(topics.PAYMENT_EVENTS), config.topic(topics.SAGA_EVENTS)}
        workers = {place: (nexts.get(place, 0), "") for place in partitions if place[0] in events}
        for topic in (topics.WALLET_COMMANDS, topics.SAGA_COMMANDS):
            for number in range(topics.spec(topic).partitions):
                workers[config.topic(topic), number] = (0, "")
        changelogs = {config.topic(topic) for topic in CHANGELOGS}
        notes = {
            place: (0, name)
            if place[0] in changelogs
            else (known.get(place, 0), f"{name} {projected.get(place, NEVER)}")
            for place in partitions
        }
        return {config.app_id: workers, f"{config.app_id}{GENERATION_GROUP}": notes}
