"""PostgreSQL's settings for a machine of a size: the owner's figures, as far as the machine bears them.

They are meant for 32 GB and 8 cores.  On less, what each connection or each vacuum may take
is bounded by its share of the memory, or the whole would not fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

KB: Final = 1 << 10
MB: Final = 1 << 20
GB: Final = 1 << 30

MEMORY_MIN: Final = 256 * MB
"""Less is no server's."""
CONNECTIONS_MAX: Final = 220
"""The 200 that PgBouncer may open for one database, and 20 for commands, which connect without it."""
WORKING_MAX: Final = 50
"""Those of them that work at a time: PgBouncer's pool of one role and database."""
WORK_MEM: Final = 256 * MB
MAINTENANCE_WORK_MEM: Final = 2 * GB
WAL_BUFFERS: Final = 16 * MB
AUTOVACUUM_WORKERS: Final = 3
WAL_MAX: Final = 16 * GB
"""Between two checkpoints: what is replayed after a crash in some minutes."""

Tuning = Mapping[str, str]


def tuned(*, memory_bytes: int, cpus: int) -> Tuning:
    """Return settings by name, as postgresql.conf has them; all of the memory is PostgreSQL's."""
    parallel = max(1, min(4, cpus // 2))
    return {
        "max_connections": str(CONNECTIONS_MAX),
        "shared_buffers": _size(memory_bytes // 4),
        "effective_cache_size": _size(memory_bytes * 3 // 4),
        "work_mem": _size(min(WORK_MEM, _share_of_work(memory_bytes))),
        "maintenance_work_mem": _size(min(MAINTENANCE_WORK_MEM, memory_bytes // 16)),
        "autovacuum_work_mem": _size(min(MAINTENANCE_WORK_MEM, memory_bytes // 16 // AUTOVACUUM_WORKERS)),
        "wal_buffers": _size(min(WAL_BUFFERS, memory_bytes // 128)),
        "checkpoint_completion_target": "0.9",
        "checkpoint_timeout": "15min",
        "max_wal_size": _size(min(WAL_MAX, max(GB, memory_bytes // 2))),
        # Disks without moving parts, as the owner's.
        "random_page_cost": "1.1",
        "effective_io_concurrency": "200",
        "max_worker_processes": str(max(8, cpus)),
        "max_parallel_workers": str(cpus),
        "max_parallel_workers_per_gather": str(parallel),
        "max_parallel_maintenance_workers": str(parallel),
        # Events are only ever added: without a vacuum of what is new, an index-only scan reads the rows as
        # well, and one vacuum years later has all of them to freeze.  Tables have settings of their own too.
        "autovacuum_max_workers": str(AUTOVACUUM_WORKERS),
        "autovacuum_naptime": "15s",
        "autovacuum_vacuum_insert_threshold": "50000",
        "autovacuum_vacuum_insert_scale_factor": "0.02",
        "autovacuum_analyze_scale_factor": "0.02",
        "autovacuum_vacuum_cost_limit": str(250 * cpus),
    }


def remarks(*, memory_bytes: int, cpus: int) -> list[str]:
    """Say where the owner's figures are too much for this size, and why."""
    settings = tuned(memory_bytes=memory_bytes, cpus=cpus)
    owners = {"work_mem": WORK_MEM, "maintenance_work_mem": MAINTENANCE_WORK_MEM, "wal_buffers": WAL_BUFFERS}
    reasons = {
        "work_mem": f"{WORKING_MAX} sorts at a time would take more than two fifths of the memory",
        "maintenance_work_mem": "an index that is built would take more than a sixteenth of the memory",
        "wal_buffers": "it would be more than a thirty-second part of shared_buffers",
    }
    return [
        f"{name} is {settings[name]}, not {_size(wanted)}: {reasons[name]}"
        for name, wanted in owners.items()
        if settings[name] != _size(wanted)
    ]


def configuration(settings: Tuning) -> str:
    """Return the lines of postgresql.conf."""
    return "".join(f"{name} = {value}\n" for name, value in settings.items())


def bytes_of(size: str) -> int:
    """Read 512MB or 32GB; raises ValueError."""
    units = {"MB": MB, "GB": GB, "TB": GB * KB}
    number, unit = size[:-2], units.get(size[-2:].upper(), 0)
    size_bytes = int(number) * unit if number.isascii() and number.isdigit() else 0
    if size_bytes < MEMORY_MIN:
        raise ValueError(f"must be a size like 32GB, of {_size(MEMORY_MIN)} at least")
    return size_bytes


def _share_of_work(memory_bytes: int) -> int:
    """Two fifths of the memory for sorts: with shared_buffers, two thirds are spoken for."""
    return memory_bytes * 2 // 5 // WORKING_MAX


def _size(size_bytes: int) -> str:
    """Write a size in whole GB or MB, else kB."""
    if size_bytes % GB == 0:
        return f"{size_bytes // GB}GB"
    return f"{size_bytes // MB}MB" if size_bytes >= MB else f"{size_bytes // KB}kB"
