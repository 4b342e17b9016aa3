"""PostgreSQL's settings by size: the owner's figures on the owner's machine, less on a smaller one."""

from __future__ import annotations

import pytest

from ledger_streams.postgres_tuning import CONNECTIONS_MAX, GB, bytes_of, remarks, tuned

OWNERS = {
    "shared_buffers": "8GB",
    "effective_cache_size": "24GB",
    "work_mem": "256MB",
    "maintenance_work_mem": "2GB",
    "checkpoint_completion_target": "0.9",
    "wal_buffers": "16MB",
}


def test_settings_for_the_owners_machine_equal_the_owners() -> None:
    settings = tuned(memory_bytes=32 * GB, cpus=8)
    assert {name: settings[name] for name in OWNERS} == OWNERS
    assert remarks(memory_bytes=32 * GB, cpus=8) == []


def test_settings_for_a_small_machine_are_bounded_with_the_reason() -> None:
    settings, notes = tuned(memory_bytes=GB, cpus=2), remarks(memory_bytes=GB, cpus=2)
    assert (settings["shared_buffers"], settings["work_mem"]) == ("256MB", "8MB")
    assert (settings["maintenance_work_mem"], settings["wal_buffers"]) == ("64MB", "8MB")
    assert [note.split(" ")[0] for note in notes] == ["work_mem", "maintenance_work_mem", "wal_buffers"]
    assert "work_mem is 8MB, not 256MB: 50 sorts at a time" in notes[0]


@pytest.mark.parametrize("memory", ["256MB", "1GB", "4GB", "32GB", "1TB"])
def test_buffers_and_sorts_leave_a_third_of_the_memory(memory: str) -> None:
    settings = tuned(memory_bytes=bytes_of(memory), cpus=4)
    work_bytes = 50 * int(settings["work_mem"].removesuffix("MB")) * 1_048_576
    assert work_bytes + bytes_of(memory) // 4 <= bytes_of(memory) * 2 // 3
    assert int(settings["max_connections"]) == CONNECTIONS_MAX


@pytest.mark.parametrize("text", ["", "GB", "32", "32 gigs", "-1GB", "1.5GB", "64MB", "²GB"])
def test_an_invalid_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a size like 32GB"):
        bytes_of(text)
