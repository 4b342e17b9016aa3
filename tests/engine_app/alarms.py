"""toy-in -> alarms -> toy-changelog, toy-out: rings when an alarm's time has come.

A record sets the alarm of its key to a time (ms since 1970), or withdraws it (`off`).  A
`bell` that rings is off from then on, so it rings once whatever is given twice.  A `note`
tells every deadline it is given and changes nothing: its state goes on saying when it was due.
"""

from __future__ import annotations

from typing import Any

from ledger_streams.engine.batches import Destination, Frame, Share
from ledger_streams.engine.state.store import TableSpec
from ledger_streams.engine.state.timers import Due
from ledger_streams.settings import settings
from tests.engine_app.faults import PARTITIONS, toy_app

SOURCE, CHANGELOG, OUT = (settings().topic(name) for name in ("toy-in", "toy-changelog", "toy-out"))
OFF = b"off"


def due_ms_of(stored: bytes) -> int | None:
    """Return when an alarm rings."""
    return None if stored == OFF else int(stored)


ALARMS = TableSpec(
    name="alarms",
    help="when each alarm rings",
    source="toy-in",
    changelog="toy-changelog",
    encode=bytes,
    decode=bytes,
    stored_form=bytes,
    due_ms_of=due_ms_of,
)
changelog, out = Destination(CHANGELOG, PARTITIONS), Destination(OUT, PARTITIONS)
app = toy_app(ALARMS)


@app.agent(app.frames(SOURCE), name="alarms")
async def alarms(frames: Any) -> None:
    """toy-in -> alarms -> toy-changelog, toy-out."""
    frame: Frame
    async for frame in frames:
        with frame as shares:
            for share in shares:
                for due in share.due:
                    ring(share, due)
                for record in share.records:
                    put(share, record.key or b"", record.value or OFF)


def ring(share: Share, due: Due) -> None:
    if due.key.startswith(b"bell"):
        if share.state(due.key) != b"%d" % due.due_ms:
            return
        put(share, due.key, OFF)
    share.emit(out.numbered(share.tp.partition), (due.key, b"%d" % due.due_ms, ()))


def put(share: Share, key: bytes, value: bytes) -> None:
    share.change(key, value, stored=value, logged=value, changelog=changelog)


if __name__ == "__main__":
    app.main()
