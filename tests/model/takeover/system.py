"""The whole model: possible next steps, faults, and invariants.

Every step belongs to the broker or to one worker; a scheduler that takes any of them at any
time lets a worker pause before each, and go on as a zombie.  A fault is a step of a system
that has one left.  The invariants are checked in every state, not only at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.takeover import broker as brokers
from tests.model.takeover.broker import Broker
from tests.model.takeover.rules import Bounds, Fault, Rule
from tests.model.takeover.store import Rocks, restored
from tests.model.takeover.worker import (
    EXPIRED,
    Phase,
    Worker,
    crashed,
    lost,
    noted,
    steps,
)

WORKERS = (0, 1)


class System(NamedTuple):
    """Hashable, so that a state is explored once, however it was come to."""

    broker: Broker = Broker()
    workers: tuple[Worker, ...] = (
        noted(Worker(), is_assigned=True),
        Worker(Phase.STANDS_BY, is_member=True, has_producers=True, has_epoch=True),
    )
    """One begins to take over, the other stands by; one that has just been started is one that crashed."""
    faults_left: int = 0


class Step(NamedTuple):
    """A step's description, and the state after it."""

    name: str
    system: System
    is_fault: bool = False


def all_steps(system: System, bounds: Bounds) -> Iterator[Step]:
    """Yield everything that may happen next."""
    for name, broker in _broker_steps(system.broker, bounds):
        yield Step(name, system._replace(broker=broker))
    for number, worker in enumerate(system.workers):
        if worker.phase == Phase.DOWN:
            started = noted(worker, is_assigned=system.broker.owner == number)
            yield Step(f"worker {number} is started", _with(system, number, started))
            continue
        for name, broker, after in steps(number, worker, system.broker, bounds):
            yield Step(f"worker {number} {name}", _with(system._replace(broker=broker), number, after))
    if system.faults_left:
        left = system._replace(faults_left=system.faults_left - 1)
        for fault, name, broken in _faults(left):
            if fault in bounds.kinds:
                is_believed = fault is Fault.COMMIT_UNANSWERED and bounds.dropped is Rule.UNANSWERED_IS_LOST
                then = _taken_for_answered(left, broken) if is_believed else broken
                yield Step(f"! {fault.value}: {name}", then, is_fault=True)


def _broker_steps(broker: Broker, bounds: Bounds) -> Iterator[tuple[str, Broker]]:
    for transaction in broker.transactions:
        if transaction.is_decided and transaction.is_in_changelog:
            yield "the changelog's marker is written", brokers.changelog_marked(broker, transaction)
        if transaction.is_decided and transaction.source_next is not None:
            yield "the offset's marker is written", brokers.offsets_marked(broker, transaction)
    for late in broker.late_commits:
        producer, is_present = late
        rest = broker._replace(late_commits=tuple(other for other in broker.late_commits if other != late))
        if is_present or bounds.dropped is Rule.EPOCH_FENCES:
            yield f"a late commit of {producer} is taken", brokers.decided(rest, producer)
        else:
            yield f"a late commit of {producer} is refused", rest


def _faults(system: System) -> Iterator[tuple[Fault, str, System]]:
    broker = system.broker
    for owner in WORKERS:
        yield Fault.REBALANCE, f"to worker {owner}", _rebalanced(system, owner)
    for number, worker in enumerate(system.workers):
        yield from _worker_faults(system, number, worker)
    for transaction in broker.transactions:
        if not transaction.is_decided:
            producer = transaction.producer
            after = brokers.with_new_epoch(brokers.aborted(broker, producer), producer)
            worker = system.workers[producer[0]]
            timed_out = _with(system._replace(broker=after), producer[0], worker._replace(has_epoch=False))
            yield Fault.TIME_OUT, f"of {producer}", timed_out
    if broker.group_offset is not None:
        yield Fault.OFFSETS_EXPIRED, "", system._replace(broker=broker._replace(group_offset=None))


def _worker_faults(system: System, number: int, worker: Worker) -> Iterator[tuple[Fault, str, System]]:
    name = f"worker {number}"
    if worker.phase != Phase.DOWN:
        yield Fault.CRASH, name, _with(system, number, crashed(worker))
    yield Fault.CRASH_WITHOUT_ROCKSDB, name, _with(system, number, Worker())
    for offset, entry in enumerate(system.broker.changelog):
        older = offset + 1 < worker.rocks.changelog_next
        if older and entry in system.broker.kept():
            entries = system.broker.kept(offset + 1)
            rocks = restored(Rocks(), entries, offset + 1)
            yield Fault.CRASH_WITH_OLDER_ROCKSDB, name, _with(system, number, Worker(rocks=rocks))
    if worker.phase == Phase.COMMITS and worker.has_epoch:
        late = {*system.broker.late_commits, ((number, worker.turn), True)}
        broker = system.broker._replace(late_commits=tuple(sorted(late)))
        after = lost(worker, Phase.STARTS if worker.is_member else Phase.REFUSED)
        yield Fault.COMMIT_UNANSWERED, name, _with(system._replace(broker=broker), number, after)


def _taken_for_answered(before: System, after: System) -> System:
    """Go on as if the commit had been answered."""
    workers = tuple(
        old._replace(phase=Phase.KEEPS) if old.phase == Phase.COMMITS and old != new else new
        for old, new in zip(before.workers, after.workers, strict=True)
    )
    return after._replace(workers=workers)


def _rebalanced(system: System, owner: int) -> System:
    workers = tuple(worker._replace(is_member=False) for worker in system.workers)
    return system._replace(broker=system.broker._replace(owner=owner), workers=workers)


def _with(system: System, number: int, worker: Worker) -> System:
    workers = (*system.workers[:number], worker, *system.workers[number + 1 :])
    return system._replace(workers=workers)


def what_is_wrong(system: System, bounds: Bounds) -> str | None:
    """Return which promise this state breaks; None if it breaks none."""
    outputs = system.broker.carried_out()
    records = bytes(output for output in outputs if output != EXPIRED)
    changes = bytes(output for output in outputs if output not in bounds.silent)
    if len(set(outputs)) < len(outputs):
        return "an output came twice"
    if records != bytes(range(len(records))):
        return "an output is missing, or out of order"
    if _fold(system.broker) != changes:
        return "the changelog is not what the outputs tell"
    for number, worker in enumerate(system.workers):
        if not _is_behind_log(worker.rocks, system.broker, source_end=len(records)):
            return f"worker {number}'s RocksDB is not the fold of the log up to its position"
        if _owns(system, number) and (worker.rocks.state != changes or worker.position != len(records)):
            return f"worker {number} owns the partition without having caught up"
    return None


def _is_behind_log(rocks: Rocks, broker: Broker, *, source_end: int) -> bool:
    """Whether RocksDB is an earlier state of what is committed, or the present one; never ahead of it."""
    return (
        rocks.changelog_next <= len(broker.changelog)
        and rocks.state == _fold(broker, rocks.changelog_next)
        and (rocks.source_next or 0) <= source_end
    )


def _fold(broker: Broker, changelog_next: int | None = None) -> bytes:
    """Return the last state that is committed for good: each one is whole."""
    kept = broker.kept(changelog_next)
    return kept[-1].state if kept else b""


def _owns(system: System, number: int) -> bool:
    worker = system.workers[number]
    return worker.phase == Phase.POLLS and worker.is_member and worker.is_assigned


def is_end(system: System, bounds: Bounds) -> bool:
    """Whether everything is carried out, settled and kept."""
    everything = set(range(bounds.records)) | ({EXPIRED} if bounds.has_deadline else set())
    owner = system.workers[system.broker.owner]
    return (
        set(system.broker.carried_out()) == everything
        and not system.broker.transactions
        and _owns(system, system.broker.owner)
        and not owner.timer
    )
