"""toy-in -> sums -> toy-changelog, toy-out: adds up the numbers of each key.

TOY_FAULT makes it fail: `die-before-keep:N` kills it after the N-th commit, before RocksDB
is written; `lose-answer:N` drops the answer of every N-th commit, which has happened;
`raise` lets the agent fail on the value 13.  No commit begins while the file `hold-<worker id>`
is in LEDGER_HOME.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from typing import Any

from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from ledger_streams.engine.app import EngineApp
from ledger_streams.engine.cycles import Committer, Cycle, Destination, Frame, Outbox, Share
from ledger_streams.engine.kip447 import Membership
from ledger_streams.engine.ledger import LedgerCommitter
from ledger_streams.engine.store import TableSpec
from ledger_streams.engine.takeover import Takeover
from ledger_streams.engine.transactions import CycleLost, Transactions
from ledger_streams.settings import settings

PARTITIONS = 4
SOURCE, CHANGELOG, OUT = (settings().topic(name) for name in ("toy-in", "toy-changelog", "toy-out"))
FAULT, _, _nth = os.environ.get("TOY_FAULT", "").partition(":")
NTH = int(_nth or 0)
HOLD = settings().home / f"hold-{settings().worker_id}"

log = logging.getLogger(__name__)

SUMS = TableSpec(
    name="sums",
    help="the sum of each key's numbers",
    source="toy-in",
    changelog="toy-changelog",
    encode=lambda total: b"%d" % total,
    decode=int,
    stored_form=bytes,
)
changelog, out = Destination(CHANGELOG, PARTITIONS), Destination(OUT, PARTITIONS)


class ForgetfulTransactions(Transactions):
    """Commits, and then has not heard of it, every NTH time."""

    commits = 0

    async def commit(
        self, outbox: Outbox, sources: Mapping[TP, int], membership: Membership
    ) -> dict[TP, int]:
        ends = await super().commit(outbox, sources, membership)
        type(self).commits += 1
        if FAULT == "lose-answer" and self.commits % NTH == 0:
            await self.drop()
            raise CycleLost(dependency="kafka", detail="no answer") from KafkaConnectionError()
        return ends


class MortalCommitter(LedgerCommitter):
    """Waits before a commit while it is held; dies between it and the WriteBatch, at the NTH time."""

    keeps = 0

    async def commit(self, cycle: Cycle) -> None:
        if HOLD.exists():
            log.info("a commit is held")
        while HOLD.exists():  # noqa: ASYNC110  another process's file
            await asyncio.sleep(0.01)
        await super().commit(cycle)

    def _keep(self, share: Share, ends: Mapping[TP, int]) -> None:
        type(self).keeps += 1
        if FAULT == "die-before-keep" and self.keeps == NTH:
            os.kill(os.getpid(), signal.SIGKILL)
        super()._keep(share, ends)


def new_committer() -> Committer:
    config, changelogs = settings(), {"sums": CHANGELOG}
    return MortalCommitter(
        tables={SOURCE: SUMS},
        tables_dir=config.tables_dir,
        changelog_topics=changelogs,
        takeover=Takeover(bootstrap=config.kafka, group_id=app.conf.id, changelog_topics=changelogs),
        transactions=ForgetfulTransactions(
            bootstrap=config.kafka,
            transactional_id=f"{app.conf.id}-{config.worker_id}",
            group_id=app.conf.id,
            transaction_timeout_ms=config.transaction_timeout_ms,
        ),
    )


app = EngineApp(settings().app_id, settings=settings(), new_committer=new_committer)
app.tables.declare(SUMS)


@app.agent(app.frames(SOURCE), name="adder")
async def adder(frames: Any) -> None:
    """toy-in -> sums -> toy-changelog, toy-out."""
    frame: Frame
    async for frame in frames:
        with frame as shares:
            for share in shares:
                for record in share.records:
                    add(share, record.key or b"", int(record.value or b"0"))


def add(share: Share, key: bytes, number: int) -> None:
    if FAULT == "raise" and number == 13:
        raise ValueError("thirteen")
    total = (share.state(key) or 0) + number
    encoded = b"%d" % total
    share.change(key, total, stored=encoded, logged=encoded, changelog=changelog)
    share.emit(out.numbered(share.tp.partition), (key, encoded, ()))


if __name__ == "__main__":
    app.main()
