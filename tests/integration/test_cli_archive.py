"""`archive`: output and error messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from ledger_streams import topics
from ledger_streams.cli.archive import archive
from ledger_streams.cli.db import db
from ledger_streams.cli.replay import replay
from ledger_streams.kafka.log_reader import opened_log
from ledger_streams.settings import Settings
from tests.archived import FILE, Old, old
from tests.live import LiveSystem


@pytest.fixture
async def scenario(
    schema_only: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Old]:
    monkeypatch.setenv("LEDGER_POSTGRES", schema_only.postgres)
    monkeypatch.setenv("LEDGER_ARCHIVE", str(tmp_path))
    async with old(schema_only, tmp_path) as scenario:
        await scenario.tell()
        yield scenario


async def call(*arguments: str) -> Result:
    """Run a command, which has an event loop of its own."""
    root = {"db": db, "replay": replay}.get(arguments[0], archive)
    return await asyncio.to_thread(CliRunner().invoke, root, arguments[root is not archive :])


async def test_months_are_archived_listed_verified_and_attached(scenario: Old) -> None:
    rows = await scenario.count("events WHERE occurred_at >= '2024-11-01' AND occurred_at < '2024-12-01'")
    now = await call("now", "--before", "2024-12", "--json")
    assert [one["month"] for one in msgspec.json.decode(now.stdout)] == ["2024-10", "2024-11"]
    assert f"2024-11: {rows} rows are in {FILE}" in now.stderr
    listed = msgspec.json.decode((await call("list", "--json")).stdout)
    november = listed[1]
    size = (scenario.folder / FILE).stat().st_size
    about = {"rows": 0, "archived_rows": rows, "files": [FILE], "bytes": size}
    assert november == {"month": "2024-11", "state": "archived", **about}
    drawn = (await call("list")).stdout
    assert drawn.startswith("4 months\n")
    assert FILE in drawn
    verified = await call("verify")
    assert (
        verified.exit_code,
        verified.stdout.endswith("No differences: files and rows are as archived.\n"),
    ) == (0, True)
    attached = await call("attach", "2024-11")
    assert attached.stdout == f"{rows} rows attached to `events` again.\n"


async def test_verify_names_each_error_and_fails(scenario: Old) -> None:
    await scenario.archive()
    (scenario.folder / FILE).write_bytes(b"")
    said = await call("verify")
    assert (said.exit_code, "NOT AS ARCHIVED" in said.stdout, FILE in said.stdout) == (1, True, True)
    assert (await call("attach", "2024-11")).exit_code == 1


async def test_the_age_of_old_months_is_a_setting_and_by_default_no_month_is_old(
    scenario: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = await call("now")
    assert (said.exit_code, "LEDGER_ARCHIVE_MONTHS is 0" in said.stderr) == (0, True)
    assert await scenario.count("archives") == 0
    monkeypatch.setenv("LEDGER_ARCHIVE_MONTHS", "6")
    said = await call("now")
    assert said.stdout.startswith("3 months archived")
    assert (
        await scenario.pool.fetchval("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass")
        > 6
    )


CANNOT: tuple[tuple[tuple[str, ...], str | None, str], ...] = (
    (("attach", "2023-01"), None, "2023-01 is not archived; archived: 2024-10, 2024-11"),
    (("attach", "last"), None, "'last' is not a month; write it as 2024-11"),
    (("now", "--before", "2024"), None, "'2024' is not a month"),
    (("now", "--before", "2999-01"), None, "has not ended"),
    (("now", "--before", "2024-12"), "", "set LEDGER_ARCHIVE"),
    (("list",), "", "set LEDGER_ARCHIVE"),
    (("verify",), "/nowhere", "LEDGER_ARCHIVE: there is no folder /nowhere"),
    (("attach", "2024-11"), "", "set LEDGER_ARCHIVE"),
    (("replay", "projections"), None, "needs all events, and those of 2024-10, 2024-11 are archived"),
    (("now", "--before", "2024-12"), "/dev/null", "there is no folder /dev/null"),
    (("db", "downgrade", "--to", "15", "--yes"), None, "0016_archive: months are archived"),
)
"""Arguments, LEDGER_ARCHIVE if it is another one, and what is said."""


async def test_a_failed_archive_command_gives_the_reason_and_changes_nothing(
    scenario: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scenario.archive()
    before = (await scenario.tables(), await scenario.count("archived_events"))
    for arguments, folder, said in CANNOT:
        monkeypatch.setenv("LEDGER_ARCHIVE", str(scenario.folder) if folder is None else folder)
        result = await call(*arguments)
        assert result.exit_code in (1, 2), (arguments, result.stderr)
        assert said in result.stderr.replace("\n", " "), arguments
        assert (await scenario.tables(), await scenario.count("archived_events")) == before


async def test_archived_events_are_links_for_the_audit_and_missing_for_filling_kafka(
    migrated: Settings, tmp_path: Path
) -> None:
    async with old(migrated, tmp_path) as scenario:
        await scenario.tell()
        rows = sum(one.rows for one in await scenario.archive())
        before = await scenario.tables()
        code, out, err = await LiveSystem(scenario.config).command("audit", "verify")
        assert (code, err) == (0, "")
        assert f"{rows} of the events are archived: `archive verify` checks those.\nNo differences" in out
        code, out, err = await LiveSystem(scenario.config).command("replay", "topics")
        assert (code, out) == (1, "")
        assert "filling Kafka needs all events, and those of 2024-10, 2024-11 are archived" in err
        assert await scenario.tables() == before
        async with opened_log(migrated.kafka) as log:
            ends = await log.ends(topics.names(migrated))
            assert [record async for record in log.read(ends)] == []
