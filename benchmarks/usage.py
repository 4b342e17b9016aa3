"""Usage: CPU and memory of a system's processes, from /proc.

A server of the stack is found as the process that listens on its port.  PostgreSQL's time
includes the children of the listener, running and ended.  Other systems on the same servers
are included, so measure without them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from benchmarks.backlog import TICK_S
from tests.live import LiveSystem

PROC: Final = Path("/proc")
GENERATOR: Final = "generator"
OTHERS: Final = "others"
"""Name of all other CPU use on this machine, including the kernel's: the noise of the figures."""
LISTENS: Final = "0A"
"""State LISTEN in /proc/net/tcp."""
KIB: Final = 1024


class Stat(NamedTuple):
    """The fields of /proc/PID/stat that are used here."""

    parent: int
    own_s: float
    ended_children_s: float


class Memory(msgspec.Struct):
    """Memory of one process."""

    rss_mb: float
    pss_mb: float
    """Proportional set size: shared pages count by their share."""


def stat_of(text: str) -> Stat:
    """Parse /proc/PID/stat; the command name may contain spaces and parentheses."""
    fields = text.rpartition(")")[2].split()
    user, system, children_user, children_system = (int(field) * TICK_S for field in fields[11:15])
    return Stat(int(fields[1]), user + system, children_user + children_system)


def memory_of(text: str) -> Memory:
    """Parse /proc/PID/smaps_rollup."""
    kib = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines() if line.endswith(" kB")}
    return Memory(round(kib["Rss"] * KIB / 1e6, 1), round(kib["Pss"] * KIB / 1e6, 1))


def memory(pid: int) -> Memory:
    """Return the current memory of a process."""
    return memory_of((PROC / str(pid) / "smaps_rollup").read_text())


def listener(port: int) -> int:
    """Return the pid of the process that listens on a port of this machine."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    for folder in PROC.glob("[0-9]*/fd"):
        try:
            if any(str(link.readlink()) in sockets for link in folder.iterdir()):
                return int(folder.parent.name)
        except OSError:
            continue  # it has ended, or is somebody else's
    raise AssertionError(f"nobody whose files can be seen listens on port {port}")


def busy_s(text: str) -> float:
    """Parse /proc/stat; return the busy time of all cores in seconds."""
    user, nice, system, _idle, _waiting, *interrupts = text.splitlines()[0].split()[1:8]
    return sum(int(ticks) for ticks in (user, nice, system, *interrupts)) * TICK_S


class Components:
    """The processes of a live system, its servers, and this process, which is the generator."""

    def __init__(self, live: LiveSystem) -> None:
        self._live = live
        self._servers = {
            "kafka": listener(int(live.settings.kafka.split(",")[0].rpartition(":")[2])),
            "postgres": listener(urlsplit(live.settings.postgres).port or 5432),
            "redis": listener(urlsplit(live.settings.redis).port or 6379),
        }

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU time of each component so far; all workers are one component."""
        used = {name: _own_s(pid) for name, pid in self._servers.items() if name != "postgres"}
        used["postgres"] = _family_s(self._servers["postgres"])
        for name, process in self._live.processes.items():
            component = name.rpartition("-")[0]
            used[component] = used.get(component, 0.0) + _own_s(process.pid)
        used[GENERATOR] = sum(os.times()[:4])
        return used | {OTHERS: busy_s((PROC / "stat").read_text()) - sum(used.values())}


def since(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return the CPU time of each component between two readings."""
    return {name: after[name] - before.get(name, 0.0) for name in after}


def shares(used_s: Mapping[str, float], seconds: float) -> dict[str, float]:
    """Return the CPU use of each component, in cores."""
    return {name: round(used / seconds, 3) for name, used in used_s.items()}


def _own_s(pid: int) -> float:
    return stat_of((PROC / str(pid) / "stat").read_text()).own_s


def _family_s(pid: int) -> float:
    parent = stat_of((PROC / str(pid) / "stat").read_text())
    return parent.own_s + parent.ended_children_s + sum(child.own_s for child in _children(pid))


def _children(pid: int) -> Iterator[Stat]:
    for path in PROC.glob("[0-9]*/stat"):
        try:
            stat = stat_of(path.read_text())
        except OSError:
            continue  # it has ended
        if stat.parent == pid:
            yield stat


def _listening(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        for line in (PROC / "net" / table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]
