"""`db tune`, `top` and `size`: a server starts with the printed configuration."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest
from click.testing import CliRunner

from ledger_streams.cli.db import db
from ledger_streams.local.stack import daemon
from ledger_streams.local.stack.postgres import Postgres
from ledger_streams.postgres_tuning import GB, tuned
from ledger_streams.settings import Settings
from tests.conftest import ROOT
from tests.live import eventually
from tests.ports import free_port

MEMORY = "1GB"
STOP_S_MAX = 30.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Postgres]:
    """A PostgreSQL of the test's own, tuned for a small machine; below .ledger, which its user can reach."""
    folder = ROOT / ".ledger" / f"tuned-{tmp_path.name}"
    folder.mkdir()
    server = Postgres(folder, free_port(), "ledger", "ledger", memory=MEMORY)
    try:
        server.prepare(print)
        daemon.start(folder, server.command())
        yield server
    finally:
        daemon.ask_to_stop(folder, server.stop_signal)
        daemon.wait_for_end(folder, patience_s=STOP_S_MAX)
        shutil.rmtree((folder / "data").resolve())
        shutil.rmtree(folder)


async def test_a_server_starts_with_the_printed_settings_and_applies_them(server: Postgres) -> None:
    async def answers() -> bool:
        return await server.complaint() is None

    await eventually(answers, what=f"it answers: {daemon.log_tail(server.folder)}")
    connection = await asyncpg.connect(f"postgresql://postgres@127.0.0.1:{server.port}/postgres")
    printed = CliRunner().invoke(db, ["tune", "--memory", MEMORY, "--json"])
    for name, value in msgspec.json.decode(printed.output)["settings"].items():
        assert await connection.fetchval("SELECT current_setting($1)", name) == value, name
    assert await connection.fetchval("SELECT count(*) FROM pg_file_settings WHERE error IS NOT NULL") == 0
    await connection.close()


def test_the_printed_settings_are_lines_with_remarks_before_them() -> None:
    printed = CliRunner().invoke(db, ["tune", "--memory", "4GB", "--cpus", "4"])
    lines = printed.output.splitlines()
    assert lines[0].startswith("# work_mem is 32MB, not 256MB: ")
    found = dict(line.split(" = ") for line in lines if not line.startswith("#"))
    assert found == tuned(memory_bytes=4 * GB, cpus=4)


def test_an_unreadable_size_is_refused() -> None:
    assert CliRunner().invoke(db, ["tune", "--memory", "much"]).exit_code == 2


def test_statements_and_sizes_are_shown(database_only: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_POSTGRES", database_only.postgres)
    assert CliRunner().invoke(db, ["upgrade"]).exit_code == 0  # its statements are shown
    top = CliRunner().invoke(db, ["top", "--limit", "5", "--json"])
    sizes = CliRunner().invoke(db, ["size", "--limit", "100", "--json"])
    drawn = CliRunner().invoke(db, ["size"])
    statements = msgspec.json.decode(top.output)
    assert len(statements) == 5
    totals = [statement["total_ms"] for statement in statements]
    assert totals == sorted(totals, reverse=True)
    assert {"public.wallet_events", "public.postings"} <= {
        one["table"] for one in msgspec.json.decode(sizes.output)
    }
    assert drawn.output.startswith("20 tables\n")
