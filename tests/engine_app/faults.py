"""Faults: an app of the engine with one table, that fails as TOY_FAULT says.

`die-in-cycle:N` kills it when the N-th round of a cycle is sent and not committed, `die-before-keep:N`
at the N-th store that is to be written after a commit, before RocksDB is; `lose-answer:N` drops the
answer of every N-th commit, which has happened; `abort:N` commits for the N-th time in the name of
another generation, so that the broker refuses it; `slow-seek` takes its time between one partition and
the next, `slow-look-back` between one cycle and the next, `slow-rounds` between one round and the next;
`clock:S` sets its machine's clock S seconds wrong; what else is said concerns the agents.  No commit
begins while `hold-<worker id>` is in LEDGER_HOME.
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
from ledger_streams.engine.consumer import FrameConsumer, FrameTransport
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
    """Commits, and then has not heard of it, every NTH time; or commits too late, the NTH time."""

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
    """Waits before a commit while it is held; dies between it and the WriteBatch, at the NTH time."""

    keeps = 0

    async def carry_on(self, cycle: Cycle, read_to: Callable[[TP], int]) -> Mapping[TP, Sequence[Record]]:
        if HOLD.exists():
            log.info("a commit is held")
        while HOLD.exists():  # noqa: ASYNC110  another process's file
            await asyncio.sleep(0.01)
        return await super().carry_on(cycle, read_to)

    async def between_cycles(self) -> None:
        await super().between_cycles()
        if FAULT == "slow-look-back":
            await asyncio.sleep(1.0)

    def _keep(self, store: PartitionStore, ends: Mapping[TP, int]) -> None:
        type(self).keeps += 1
        if FAULT == "die-before-keep" and self.keeps == NTH:
            os.kill(os.getpid(), signal.SIGKILL)
        super()._keep(store, ends)


class SlowConsumer(FrameConsumer):
    """Is slow to seek."""

    async def seek(self, partition: TP, offset: int) -> None:
        await super().seek(partition, offset)
        if FAULT == "slow-seek":
            await asyncio.sleep(0.1)


class SlowTransport(FrameTransport):
    """The transport with the consumer above."""

    Consumer = SlowConsumer


class ToyApp(EngineApp):
    """The engine's app with the transport above."""

    def _new_transport(self) -> FrameTransport:
        return SlowTransport(self.conf.broker_consumer, self)


def toy_clock() -> BrokerClock:
    """Return the broker's clock, on a machine whose own one may be wrong."""
    wrong_ms = NTH * 1000 if FAULT == "clock" else 0
    return BrokerClock(wall_ms=lambda: time.time() * 1000 + wrong_ms)


def toy_app(spec: TableSpec[Any]) -> EngineApp:
    """Return an app with this table; its agents are added by the caller."""
    config, clock = settings(), toy_clock()
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

    app = ToyApp(config.app_id, settings=config, clock=clock, new_committer=new_committer)
    app.tables.declare(spec)
    return app
