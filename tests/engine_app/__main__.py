"""toy-in, toy-more -> sums -> toy-changelog, toy-out: adds up the numbers of each key.

A zero comes out with the sum so far and changes nothing.
With TOY_ECHO a number is followed by the next smaller one, in toy-in again, down to 1.
It reads toy-more too when TOY_SOURCES is 2.  TOY_FAULT makes it fail: as `faults` says, or
`raise` lets the agent fail on the value 13.
"""

from __future__ import annotations

import os
from typing import Any

from ledger_streams.engine.batches import Destination, Frame, Share
from ledger_streams.engine.state.store import TableSpec
from ledger_streams.settings import settings
from tests.engine_app.faults import FAULT, PARTITIONS, toy_app

SOURCE, MORE, CHANGELOG, OUT = (
    settings().topic(name) for name in ("toy-in", "toy-more", "toy-changelog", "toy-out")
)
ECHOES = bool(os.environ.get("TOY_ECHO"))
HAS_MORE = os.environ.get("TOY_SOURCES") == "2"

SUMS = TableSpec(
    name="sums",
    help="the sum of each key's numbers",
    source="toy-in",
    changelog="toy-changelog",
    encode=lambda total: b"%d" % total,
    decode=int,
    stored_form=bytes,
    further_sources=("toy-more",) if HAS_MORE else (),
)
changelog, out, source = (Destination(topic, PARTITIONS) for topic in (CHANGELOG, OUT, SOURCE))
app = toy_app(SUMS)


@app.agent(app.frames(SOURCE), name="adder")
async def adder(frames: Any) -> None:
    """toy-in -> sums -> toy-changelog, toy-out."""
    async for frame in frames:
        add_all(frame)


if HAS_MORE:

    @app.agent(app.frames(MORE), name="more-adder")
    async def more_adder(frames: Any) -> None:
        """toy-more -> sums -> toy-changelog, toy-out."""
        async for frame in frames:
            add_all(frame)


def add_all(frame: Frame) -> None:
    with frame as shares:
        for share in shares:
            for record in share.records:
                add(share, record.key or b"", int(record.value or b"0"))


def add(share: Share, key: bytes, number: int) -> None:
    if FAULT == "raise" and number == 13:
        raise ValueError("thirteen")
    total = (share.state(key) or 0) + number
    encoded = b"%d" % total
    if number:
        share.change(key, total, stored=encoded, logged=encoded, changelog=changelog)
    share.emit(out.numbered(share.tp.partition), (key, encoded, ()))
    if ECHOES and number > 1:
        share.emit(source.numbered(share.tp.partition), (key, b"%d" % (number - 1), ()))


if __name__ == "__main__":
    app.main()
