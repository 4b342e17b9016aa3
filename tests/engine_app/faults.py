"""Faults: an app of the engine with one table, which fails as TOY_FAULT says.

    die-in-cycle:N     is killed when the N-th round is sent and not committed
    die-before-keep:N  is killed after a commit, before it writes the N-th store
    lose-answer:N      drops the response of every N-th commit, which has happened
    abort:N            commits the N-th time under another generation, so that the broker refuses it
    slow-seek          pauses between two partitions of a seek
    slow-look-back     pauses between two cycles
    slow-rounds        pauses between two rounds
    clock:S            has a machine clock that is S seconds wrong
Other values concern the agents.  No commit begins while the file `hold-<worker id>` is in LEDGER_HOME.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from ledger_streams.engine.app import EngineApp
from ledger_streams.engine.batches import Cycle, Record
from ledger_streams.engine.committer import Committer
from ledger_streams.engine.consumer import BatchConsumer, BatchTransport
from ledger_streams.engine.ledger_committer import LedgerCommitter
from ledger_streams.engine.state.standby import Standby
from ledger_streams.engine.state.store import PartitionStore, TableSpec
from ledger_streams.engine.state.takeover import Takeover
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.fenced_offsets import Membership
from ledger_streams.kafka.records import AppendedBatch, Outbox
from ledger_streams.kafka.transactions import CycleLost, Transactions
from ledger_streams.settings import settings

PARTITIONS = 4
TOPICS = ("toy-in", "toy-more", "toy-changelog", "toy-out")
FAULT, _, _nth = os.environ.get("TOY_FAULT", "").partition(":")
NTH = int(_nth or 0)
HOLD = settings().home / f"hold-{settings().worker_id}"

log = logging.getLogger(__name__)


class FaultyTransactions(Transactions):
    """Loses the response of every NTH commit, or commits the NTH time under another generation."""

    commits = 0
    sends = 0

    async def send(self, outbox: Outbox, membership: Membership) -> list[AppendedBatch]:
        type(self).sends += 1
        appended = await super().send(outbox, membership)
        if FAULT == "die-in-cycle" and self.sends == NTH:
            os.kill(os.getpid(), signal.SIGKILL)
        if FAULT == "slow-rounds":
            await asyncio.sleep(0.3)
        return appended

    async def commit(
        self, outbox: Outbox, sources: Mapping[TP, int], membership: Membership
    ) -> list[AppendedBatch]:
        type(self).commits += 1
        if FAULT == "abort" and self.commits == NTH:
            membership = membership._replace(generation=membership.generation + 1)
        appended = await super().commit(outbox, sources, membership)
        if FAULT == "lose-answer" and self.commits % NTH == 0:
            await self.drop()
            raise CycleLost(dependency="kafka", detail="no answer") from KafkaConnectionError()
        return appended


class MortalCommitter(LedgerCommitter):
    """Waits while a commit is held; is killed between commit and WriteBatch at the NTH store."""

    keeps = 0

    async def advance(self, cycle: Cycle, read_to: Callable[[TP], int]) -> Mapping[TP, Sequence[Record]]:
        if HOLD.exists():
            log.info("worker holds its commit")
        while HOLD.exists():  # noqa: ASYNC110  another process's file
            await asyncio.sleep(0.01)
        return await super().advance(cycle, read_to)

    async def between_cycles(self) -> None:
        await super().between_cycles()
        if FAULT == "slow-look-back":
            await asyncio.sleep(1.0)

    def _write_committed(self, store: PartitionStore, ends: Mapping[TP, int]) -> None:
        type(self).keeps += 1
        if FAULT == "die-before-keep" and self.keeps == NTH:
            os.kill(os.getpid(), signal.SIGKILL)
        super()._write_committed(store, ends)


class SlowConsumer(BatchConsumer):
    """Pauses after each seek."""

    async def seek(self, partition: TP, offset: int) -> None:
        await super().seek(partition, offset)
        if FAULT == "slow-seek":
            await asyncio.sleep(0.1)


class SlowTransport(BatchTransport):
    """The transport with the slow consumer."""

    Consumer = SlowConsumer


class FaultyApp(EngineApp):
    """The engine's app with the slow transport."""

    def _new_transport(self) -> BatchTransport:
        return SlowTransport(self.conf.broker_consumer, self)


def faulty_clock() -> BrokerClock:
    """Return the broker's clock on a machine whose own clock may be wrong."""
    wrong_ms = NTH * 1000 if FAULT == "clock" else 0
    return BrokerClock(wall_ms=lambda: time.time() * 1000 + wrong_ms)


def faulty_app(spec: TableSpec[Any]) -> EngineApp:
    """Return an app with this table; the caller adds the agents."""
    config, clock = settings(), faulty_clock()
    changelogs = {spec.name: config.topic(spec.changelog)}
    sources = [config.topic(source) for source in (spec.source, *spec.further_sources)]

    def new_committer() -> Committer:
        return MortalCommitter(
            tables=dict.fromkeys(sources, spec),
            tables_dir=config.tables_dir,
            changelog_topics=changelogs,
            takeover=Takeover(
                bootstrap=config.kafka,
                group_id=app.conf.id,
                changelog_topics=changelogs,
                further_sources=sources[1:],
            ),
            transactions=FaultyTransactions(
                bootstrap=config.kafka,
                transactional_id=f"{app.conf.id}-{config.worker_id}",
                group_id=app.conf.id,
                transaction_timeout_ms=config.dead_transaction_ms,
                topics=[config.topic(name) for name in TOPICS],
                clock=clock,
            ),
            standby=Standby(
                bootstrap=config.kafka,
                group_id=app.conf.id,
                tables_dir=config.tables_dir,
                specs=[spec],
                changelog_topics=changelogs,
            )
            if config.standby
            else None,
        )

    app = FaultyApp(config.app_id, settings=config, clock=clock, new_committer=new_committer)
    app.tables.declare(spec)
    return app
