"""A toy worker on the engine: it adds numbers, and fails when it is told to.

    toy-in (key, number) -> table sums -> toy-changelog (key, sum), toy-out (key, "partition offset sum")

So each input has one output that names it, and a sum shows whatever was carried out
twice or not at all.  Runs as a child process: `python -m tests.integration.toy worker`;
LEDGER_* variables say where, TOY_* variables how it fails.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aiokafka.errors import KafkaConnectionError
from faust.types import TP
from pydantic_settings import BaseSettings, SettingsConfigDict

from ledger_streams.engine.app import EngineApp
from ledger_streams.engine.cycles import Committer, Cycle, Frame, Outbox, Outgoing, Record, Share, partition_of
from ledger_streams.engine.dead_letters import park
from ledger_streams.engine.kip447 import FencedProducer, Membership
from ledger_streams.engine.ledger import LedgerCommitter
from ledger_streams.engine.store import TableSpec
from ledger_streams.engine.takeover import Takeover
from ledger_streams.engine.transactions import Transactions
from ledger_streams.errors import Unreadable
from ledger_streams.settings import Settings

TOY_IN: Final = "toy-in"
TOY_OUT: Final = "toy-out"
TOY_CHANGELOG: Final = "toy-changelog"
TOY_DEAD: Final = "toy-in.dlq"
TOY_PARTITIONS: Final = {TOY_IN: 4, TOY_CHANGELOG: 4, TOY_DEAD: 4, TOY_OUT: 3}

SUMS: Final = TableSpec[int](
    name="sums",
    help="the sum of each key's numbers",
    source=TOY_IN,
    changelog=TOY_CHANGELOG,
    encode=lambda total: b"%d" % total,
    decode=int,
    stored_form=bytes,
)

log = logging.getLogger(__name__)


class Faults(BaseSettings):
    """How this toy fails; by default it does not."""

    model_config = SettingsConfigDict(env_prefix="TOY_", frozen=True)

    killed_at_keep: int = 0
    """Killed instead of writing the n-th committed share to RocksDB."""
    unanswered_every: int = 0
    """Every n-th commit happens, but its answer is not heard."""
    hold_commit: Path | None = None
    """No commit begins while this file exists."""
    hold_decision: Path | None = None
    """No record after the first of a frame is decided while this file exists."""
    parks_poison: bool = False
    """What is not a number is parked; an exception otherwise."""


class FailingCommitter(LedgerCommitter):
    """Holds commits, and dies between a commit and RocksDB."""

    faults = Faults()
    kept = 0

    async def commit(self, cycle: Cycle) -> None:
        """Commit once nobody holds it."""
        await no_longer(self.faults.hold_commit, "a commit")
        await super().commit(cycle)

    def _keep(self, share: Share, ends: Mapping[TP, int]) -> None:
        self.kept += 1
        if self.kept == self.faults.killed_at_keep:
            os.kill(os.getpid(), signal.SIGKILL)
        super()._keep(share, ends)


class FailingTransactions(Transactions):
    """Does not hear the answer to some commits."""

    faults = Faults()
    committed = 0

    async def _transact(
        self, producer: FencedProducer, outbox: Outbox, sources: Mapping[TP, int], membership: Membership
    ) -> dict[TP, int]:
        ends = await super()._transact(producer, outbox, sources, membership)
        self.committed += 1
        if self.faults.unanswered_every and self.committed % self.faults.unanswered_every == 0:
            raise KafkaConnectionError("the connection broke before the answer came")
        return ends


class Toy:
    """The toy's agent and what it is put together from."""

    def __init__(self, settings: Settings, faults: Faults) -> None:
        self.settings = settings
        self.faults = faults
        self.app = EngineApp(settings.app_id, settings=settings, new_committer=self.new_committer)
        self.app.tables.declare(SUMS)
        self.app.agent(self.app.frames(settings.topic(TOY_IN)), name="adder")(self.adder)

    def new_committer(self) -> Committer:
        """Return the committer of this process, put together as the ledger's is."""
        settings, changelogs = self.settings, {SUMS.name: self.settings.topic(TOY_CHANGELOG)}
        return FailingCommitter(
            tables={settings.topic(TOY_IN): SUMS},
            tables_dir=settings.tables_dir,
            changelog_topics=changelogs,
            takeover=Takeover(
                bootstrap=settings.kafka, group_id=settings.app_id, changelog_topics=changelogs
            ),
            transactions=FailingTransactions(
                bootstrap=settings.kafka,
                transactional_id=f"{settings.app_id}-{settings.worker_id}",
                group_id=settings.app_id,
                transaction_timeout_ms=settings.transaction_timeout_ms,
            ),
        )

    async def adder(self, frames: Any) -> None:
        """toy-in -> sums -> toy-out."""
        frame: Frame
        async for frame in frames:
            with frame as shares:
                for share in shares:
                    for record in share.records:
                        self.add(share, record)
                        await no_longer(self.faults.hold_decision, "a decision")

    def add(self, share: Share, record: Record) -> None:
        """Add one number to the sum of its key and say so."""
        assert record.key is not None, "every toy has a key"
        try:
            number = int(record.value or b"")
        except ValueError:
            if not self.faults.parks_poison:
                raise
            park(share, record, Unreadable(reason="invalid", detail="not a number"))
            return
        total = (share.state(record.key) or 0) + number
        encoded = SUMS.encode(total)
        share.change(
            record.key, total, stored=encoded, logged=encoded, changelog=self.settings.topic(TOY_CHANGELOG)
        )
        out = TP(self.settings.topic(TOY_OUT), partition_of(record.key, TOY_PARTITIONS[TOY_OUT]))
        share.emit(out, Outgoing(record.key, b"%d %d %d" % (share.tp.partition, record.offset, total)))


async def no_longer(path: Path | None, what: str) -> None:
    """Wait while the file exists."""
    if path is None or not path.exists():
        return
    log.info("%s is held", what)
    while path.exists():  # noqa: ASYNC110  another process's file
        await asyncio.sleep(0.01)
    log.info("%s goes on", what)


if __name__ == "__main__":
    Toy(Settings(), Faults()).app.main()
