"""A worker of the model: the engine's takeover and commit, cut into atomic steps.

A step is the effect of one request or one write; between two steps anything else may happen, for any
time.  The steps mirror `faust_tables._take_over`, `ledger_committer.take_over`, `takeover.run`,
`consumer.getmany`, `ledger_committer.advance` with `_write_committed`, and `transactions.commit`.  The
engine's own functions decide from offsets and records (see store.py).  The offsets of a cycle are sent
before, between or after its records, as the producer's sender may do.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from tests.model.takeover import broker as brokers
from tests.model.takeover.broker import Broker, Producer, Status
from tests.model.takeover.rules import Bounds, Rule
from tests.model.takeover.store import Rocks, restored, source_position

EXPIRED = 0xFF
"""The output of the deadline; that of a record is its offset."""


class Phase(IntEnum):
    """How far a worker is; what comes next stands beside it."""

    DOWN = 0
    """-> STARTS"""
    STARTS = 1
    """Its producers -> ASKS, or STANDS_BY without the partition"""
    STANDS_BY = 2
    ASKS = 3
    """For the group's offset -> MEASURES"""
    MEASURES = 4
    """The changelog's end -> RESTORES"""
    RESTORES = 5
    """-> POLLS"""
    POLLS = 6
    """-> SENDS"""
    SENDS = 7
    """-> COMMITS, or STARTS when it is refused"""
    COMMITS = 8
    """-> KEEPS, or STARTS when it is not answered"""
    KEEPS = 9
    """-> POLLS"""
    REFUSED = 10
    """Its generation is over -> STARTS, once it has noted the next one"""


IN_CYCLE = frozenset({Phase.SENDS, Phase.COMMITS, Phase.KEEPS})


class Part(IntEnum):
    """Requests of a cycle."""

    OUTPUTS = 0
    CHANGELOG = 1
    OFFSETS = 2


class Cycle(NamedTuple):
    """A decision: outputs, the state after them, and the position after them."""

    outputs: bytes
    state: bytes
    source_next: int
    has_due: bool
    unsent: frozenset[Part]
    changelog_next: int
    """With it the changelog record, once that is delivered."""
    is_begun: bool = False


class Worker(NamedTuple):
    """One worker; only `rocks` outlives a crash."""

    phase: Phase = Phase.DOWN
    rocks: Rocks = Rocks()
    is_member: bool = False
    """Whether the generation it has noted is the present one."""
    is_assigned: bool = False
    has_producers: bool = False
    has_epoch: bool = False
    """Whether the broker still takes its producers' epoch."""
    turn: int = 0
    committed: int | None = None
    end: int = 0
    position: int = 0
    timer: bool = False
    """A deadline in memory; it may have been met by another worker since."""
    cycle: Cycle | None = None


Next = tuple[str, Broker, Worker]


def steps(number: int, worker: Worker, broker: Broker, bounds: Bounds) -> Iterator[Next]:
    """Yield what the worker may do next, and what becomes of it and of the broker."""
    if not worker.is_member and _may_note(worker):
        yield "notes its membership", broker, noted(worker, is_assigned=broker.owner == number)
    elif not worker.is_member and not _keeps(bounds, Rule.GENERATION_OF_TAKEOVER):
        yield "rejoins in mid-cycle", broker, worker._replace(is_member=True)
    if worker.phase in IN_CYCLE:
        yield from _cycle_steps(number, worker, broker, bounds)
    elif worker.phase == Phase.POLLS:
        yield from _polls(worker, broker, bounds)
    else:
        yield from _takeover_steps(number, worker, broker, bounds)


def noted(worker: Worker, *, is_assigned: bool) -> Worker:
    """Note the present generation, and begin to take over."""
    return begun_anew(worker)._replace(is_member=True, is_assigned=is_assigned)


def begun_anew(worker: Worker, phase: Phase = Phase.STARTS) -> Worker:
    """Forget the cycle and what the last takeover has found out."""
    return worker._replace(phase=phase, committed=None, end=0, position=0, cycle=None)


def _may_note(worker: Worker) -> bool:
    """A commit in flight is waited for; a cycle of which nothing is sent is given up."""
    return worker.cycle is None or not worker.cycle.is_begun


def _takeover_steps(number: int, worker: Worker, broker: Broker, bounds: Bounds) -> Iterator[Next]:
    match worker.phase:
        case Phase.STARTS if worker.has_producers:
            yield "has producers", broker, _started(worker)
        case Phase.STARTS:
            forgets_late = _keeps(bounds, Rule.EPOCH_FENCES)
            started = brokers.producers_started(broker, number, forgets_late=forgets_late)
            if started is not None:
                fresh = worker._replace(has_producers=True, has_epoch=True, turn=0)
                yield "starts producers", started, _started(fresh)
        case Phase.ASKS if not (_keeps(bounds, Rule.STABLE_OFFSETS) and broker.has_pending_offsets()):
            asked = worker._replace(phase=Phase.MEASURES, committed=broker.group_offset)
            yield "gets the group's offset", broker, asked
        case Phase.MEASURES:
            end = len(broker.changelog) if _keeps(bounds, Rule.HIGH_WATERMARK) else broker.stable_end()
            yield "gets the changelog's end", broker, worker._replace(phase=Phase.RESTORES, end=end)
        case Phase.RESTORES if broker.stable_end() >= worker.end and _sees_end(worker, broker, bounds):
            yield "restores", broker, _restored(worker, broker, bounds)


def _sees_end(worker: Worker, broker: Broker, bounds: Bounds) -> bool:
    """Whether the reader knows that it is at the end: one that waits for a record is not told of a marker."""
    is_there = worker.rocks.changelog_next >= worker.end
    is_record = is_there or broker.changelog[worker.end - 1].status != Status.MARKER
    return is_record or _keeps(bounds, Rule.READ_TO_POSITION)


def _started(worker: Worker) -> Worker:
    if worker.is_assigned:
        return worker._replace(phase=Phase.ASKS)
    return worker._replace(phase=Phase.STANDS_BY, timer=False)


def _restored(worker: Worker, broker: Broker, bounds: Bounds) -> Worker:
    rocks = worker.rocks if worker.rocks.changelog_next <= worker.end else Rocks()
    stable_end = broker.stable_end()
    if stable_end > rocks.changelog_next:
        kept = broker.kept(stable_end)[len(broker.kept(rocks.changelog_next)) :]
        has_header = _keeps(bounds, Rule.HEADER_HAS_POSITION)
        read = restored(rocks, kept, stable_end, has_header=has_header)
        rocks = read if _keeps(bounds, Rule.CHANGELOG_READ) else read._replace(state=rocks.state)
    position = worker.committed or 0
    if _keeps(bounds, Rule.HIGHEST_POSITION):
        position = source_position(rocks, worker.committed)
    timer = worker.timer or is_waiting(rocks.state, bounds)
    polls = begun_anew(worker, Phase.POLLS)
    return polls._replace(rocks=rocks, position=position, timer=timer)


def is_waiting(state: bytes, bounds: Bounds) -> bool:
    """Whether the state has a deadline: set by the first record, until it has come."""
    return bounds.has_deadline and 0 in state and EXPIRED not in state


def _polls(worker: Worker, broker: Broker, bounds: Bounds) -> Iterator[Next]:
    """Any number of records, and the deadline if there is one; the decision is part of the step."""
    for has_due in (False, True) if worker.timer else (False,):
        for source_next in range(worker.position, bounds.records + 1):
            if has_due or source_next > worker.position:
                cycle = _decided(worker, source_next, bounds, has_due=has_due)
                name = f"decides {cycle.outputs.hex(' ') or 'nothing'}"
                yield name, broker, worker._replace(phase=Phase.SENDS, cycle=cycle)


def _decided(worker: Worker, source_next: int, bounds: Bounds, *, has_due: bool) -> Cycle:
    state, outputs = worker.rocks.state, b""
    looks = _keeps(bounds, Rule.DEADLINE_LOOKS_AT_STATE)
    if has_due and (is_waiting(state, bounds) or not looks):
        outputs = bytes([EXPIRED])
    outputs += bytes(range(worker.position, source_next))
    changes = bytes(output for output in outputs if output not in bounds.silent)
    unsent = frozenset(
        part for part, has_part in zip(Part, (bool(outputs), bool(changes), True), strict=True) if has_part
    )
    return Cycle(outputs, state + changes, source_next, has_due, unsent, worker.rocks.changelog_next)


def _cycle_steps(number: int, worker: Worker, broker: Broker, bounds: Bounds) -> Iterator[Next]:
    assert worker.cycle is not None
    producer = (number, worker.turn)
    if worker.phase == Phase.KEEPS:
        yield _keeping(number, worker, broker, bounds)
    elif not worker.has_epoch:
        yield "is fenced", broker, lost(worker, Phase.STARTS)
    elif worker.phase == Phase.COMMITS:
        yield "commits", brokers.decided(broker, producer), worker._replace(phase=Phase.KEEPS)
    elif not broker.is_blocked(producer):
        for part in sorted(worker.cycle.unsent):
            if part is not Part.CHANGELOG or Part.OUTPUTS not in worker.cycle.unsent:
                yield _sent(part, producer, worker, broker, bounds)


def _sent(part: Part, producer: Producer, worker: Worker, broker: Broker, bounds: Bounds) -> Next:
    cycle = worker.cycle
    assert cycle is not None
    if part == Part.OUTPUTS:
        broker = brokers.written(broker, producer, cycle.outputs)
    elif part == Part.CHANGELOG:
        broker = brokers.logged(broker, producer, cycle.state, cycle.source_next)
        cycle = cycle._replace(changelog_next=len(broker.changelog))
    elif worker.is_member or not _keeps(bounds, Rule.GENERATION_FENCES):
        broker = brokers.offsets_sent(broker, producer, cycle.source_next)
    else:
        return "is refused", broker, lost(worker, Phase.REFUSED)
    cycle = cycle._replace(unsent=cycle.unsent - {part}, is_begun=True)
    worker = worker._replace(cycle=cycle, phase=Phase.SENDS if cycle.unsent else Phase.COMMITS)
    if not cycle.unsent and not _keeps(bounds, Rule.KEPT_AFTER_COMMIT):
        worker = worker._replace(rocks=_rocks_after(cycle))
    return f"sends {part.name.lower()}", broker, worker


def lost(worker: Worker, phase: Phase) -> Worker:
    """Throw the producers and the cycle away, as after every transaction that did not end well."""
    return begun_anew(worker, phase)._replace(has_producers=False, has_epoch=False, turn=0)


def _keeping(number: int, worker: Worker, broker: Broker, bounds: Bounds) -> Next:
    assert worker.cycle is not None
    after = _rocks_after(worker.cycle)
    half = after._replace(state=worker.rocks.state)
    if _keeps(bounds, Rule.KEPT_AT_ONCE) or worker.rocks == half:
        after_cycle = kept(worker, bounds)
        is_alone = not broker.knows((number, 0)) and not broker.knows((number, 1))
        return "keeps", broker, after_cycle._replace(turn=0) if is_alone else after_cycle
    return "keeps the position", broker, worker._replace(rocks=half)


def kept(worker: Worker, bounds: Bounds) -> Worker:
    """Write the cycle into RocksDB; the other producer is next.  Two idle ones are as good as each other."""
    cycle = worker.cycle
    assert cycle is not None
    timer = is_waiting(cycle.state, bounds) or (worker.timer and not cycle.has_due)
    return begun_anew(worker, Phase.POLLS)._replace(
        rocks=_rocks_after(cycle), position=cycle.source_next, timer=timer, turn=1 - worker.turn
    )


def _rocks_after(cycle: Cycle) -> Rocks:
    return Rocks(cycle.state, cycle.changelog_next, cycle.source_next)


def crashed(worker: Worker) -> Worker:
    """End the process; RocksDB stays."""
    return Worker(rocks=worker.rocks)


def _keeps(bounds: Bounds, rule: Rule) -> bool:
    return bounds.dropped is not rule
