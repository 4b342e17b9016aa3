"""Months of `events` archived into files and attached again, on a real PostgreSQL."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from ledger_streams.adapters.postgres import migrations
from ledger_streams.adapters.postgres.lost_log import move_positions, open_lost_log_rows
from ledger_streams.adapters.postgres.read_model import PostgresReadModel
from ledger_streams.adapters.postgres.reconciliation import differences
from ledger_streams.adapters.postgres.replay import open_rebuild_tables
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.archive.database import lock_months
from ledger_streams.archive.files import Archive, ArchivedRow, Manifest
from ledger_streams.archive.months import attach_month, check_archive
from ledger_streams.audit.database import close_day, open_audit
from ledger_streams.audit.proofs import make_proof, verify_proof
from ledger_streams.cli.payments import payment_text
from ledger_streams.errors import InvariantBroken, Rejected, Unavailable
from ledger_streams.resilience import Backoff
from ledger_streams.settings import Settings
from tests.archived import FILE, NOVEMBER, OCTOBER, Old, old
from tests.projected import Story
from tests.projections import differing
from tests.recorded import LONG_AGO, project_earlier
from web.payments.responses import to_response


@pytest.fixture
async def told(schema_only: Settings, tmp_path: Path) -> AsyncIterator[Old]:
    async with old(schema_only, tmp_path) as told:
        await told.tell()
        await project_earlier(schema_only.postgres, LONG_AGO)
        yield told


async def test_an_archived_and_attached_month_is_unchanged(told: Old) -> None:
    before = await told.tables()
    october, november = await told.archive()
    assert (october.month, november.month, november.file) == ("2024-10", "2024-11", FILE)
    assert await told.count("archived_events") == october.rows + november.rows
    assert await told.count("events") == len(before["events"]) - october.rows - november.rows
    states = await told.states()
    assert states["2024-11"] == ("archived", 0, november.rows)
    assert [state for state, _, _ in states.values()] == ["archived", "archived", "attached", "attached"]
    (attached,) = await attach_month(told.config, NOVEMBER)
    assert attached.rows == november.rows
    await attach_month(told.config, OCTOBER)
    assert differing(before, await told.tables()) == {}
    assert (await told.count("archives"), await told.count("archived_events")) == (0, 0)


async def test_a_month_is_archived_again_into_the_file_that_it_came_from(told: Old) -> None:
    first = await told.archive()
    names = sorted(path.name for path in told.folder.iterdir())
    assert names == sorted(f"{one.file}{more}" for one in first for more in ("", ".manifest.json"))
    await attach_month(told.config, NOVEMBER)
    assert await told.archive() == first[1:]
    assert sorted(path.name for path in told.folder.iterdir()) == names
    assert await told.archive() == []
    assert await told.touched() == []


async def test_a_file_has_all_columns_in_the_order_of_the_chains(told: Old) -> None:
    columns = await told.pool.fetch("SELECT * FROM events WHERE occurred_at < '2024-12-01' LIMIT 1")
    _, november = await told.archive()
    lines = [json.loads(line) for line in gzip.decompress((told.folder / FILE).read_bytes()).splitlines()]
    assert (len(lines), set(lines[0])) == (november.rows, set(columns[0].keys()))
    assert [line["source_offset"] for line in lines] == sorted(line["source_offset"] for line in lines)
    assert november.first_occurred_at >= datetime(2024, 11, 1, tzinfo=UTC)
    assert november.last_occurred_at < datetime(2024, 12, 1, tzinfo=UTC)
    assert november.schema == migrations.migrations()[-1].number


async def test_the_audit_goes_on_over_archived_rows_and_says_how_many(told: Old) -> None:
    assert await close_day(told.pool, told.wallet_topic, "") is not None
    await told.archive()
    async with open_audit(told.pool) as look:
        check, _ = await look.events(None)
    assert check.archived == await told.count("archived_events")
    assert check.rows == check.archived + await told.count("events") + await told.count("event_repeats")
    assert await told.touched() == []
    assert await differences(told.pool) == []
    await attach_month(told.config, NOVEMBER)
    assert await told.touched() == []


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("UPDATE events SET event_type = 'O' WHERE source_offset = (SELECT max(source_offset) FROM events)",
         "events"),
        ("UPDATE events SET event_data = '{}' WHERE source_offset = (SELECT min(source_offset) FROM events)",
         "events"),
        ("UPDATE archived_events SET chain_hash = sha256('')", "event_repeats"),
        ("DELETE FROM archived_events WHERE source_offset > 2", "event_repeats"),
        ("UPDATE archived_events SET chain_hash = sha256('') WHERE source_offset = 0", "audit_roots"),
    ],
)  # fmt: skip
async def test_changes_of_kept_rows_and_archive_notes_are_still_found(
    told: Old, statement: str, table: str
) -> None:
    await close_day(told.pool, told.wallet_topic, "")
    await told.archive()
    await told.execute(statement)
    assert table in {one.table for one in await told.touched()}


async def test_a_flipped_byte_of_a_file_is_named(told: Old) -> None:
    await told.archive()
    path = told.folder / FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    found = (await check_archive(told.config)).findings
    assert {(one.table, one.day) for one in found} == {(FILE, "2024-11")}
    assert found[0].detail.startswith("sha256 is")
    with pytest.raises(Rejected, match=f"{FILE}, all of it: sha256 is"):
        await attach_month(told.config, NOVEMBER)
    path.unlink()
    assert "cannot be read" in (await check_archive(told.config)).findings[0].detail


@pytest.mark.parametrize("forges_note", [False, True])
async def test_a_row_that_is_changed_in_a_file_with_a_right_manifest_is_named(
    told: Old, forges_note: bool
) -> None:
    await told.archive()
    forged = rewritten(told, raised)
    if forges_note:
        await told.execute(f"UPDATE archives SET sha256 = '{forged.sha256}' WHERE file = '{FILE}'")
    found = (await check_archive(told.config)).findings
    assert (found[0].detail.startswith("sha256 is"), len(found)) == (not forges_note, 2 - forges_note)
    row = list(Archive(told.config.archive).rows(FILE))[2]
    assert (found[-1].table, row.event_id in found[-1].subject) == (FILE, True)
    assert found[-1].detail.startswith("changed")
    with pytest.raises(Rejected, match=row.event_id if forges_note else "was archived"):
        await attach_month(told.config, NOVEMBER)


@pytest.mark.parametrize(("change", "what"), [("take", "was archived in this place"), ("cut", "ends after")])
async def test_a_row_deleted_from_a_file_is_reported(told: Old, change: str, what: str) -> None:
    await told.archive()
    rewritten(told, lambda lines: lines[:1] + lines[2:] if change == "take" else lines[:-1])
    assert what in (await check_archive(told.config)).findings[-1].detail


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("DELETE FROM archives WHERE part = 1", "rows of it are noted"),
        ("DELETE FROM archived_events WHERE month = '2024-11-01'", "is not noted"),
        ("UPDATE archived_events SET source_offset = -1 WHERE source_offset = 0", "others by"),
        ("UPDATE archived_events SET chain_hash = sha256('') WHERE source_offset = 0", "changed"),
    ],
)
async def test_changed_archive_notes_contradict_the_files(told: Old, statement: str, what: str) -> None:
    await told.archive()
    await told.execute(statement)
    assert [one for one in (await check_archive(told.config)).findings if what in one.detail]


def raised(lines: list[bytes]) -> list[bytes]:
    """Change the version of the third row's event."""
    row = json.loads(lines[2])
    return [*lines[:2], json.dumps(row | {"event_version": row["event_version"] + 1}).encode(), *lines[3:]]


def rewritten(told: Old, change: Callable[[list[bytes]], list[bytes]]) -> Manifest:
    """Forge November's file, and its manifest with it."""
    path = told.folder / FILE
    lines = change(gzip.decompress(path.read_bytes()).splitlines())
    content = gzip.compress(b"".join(line + b"\n" for line in lines))
    path.write_bytes(content)
    (manifest,) = [one for one in Archive(told.config.archive).manifests() if one.file == FILE]
    about = {"rows": len(lines), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    forged = msgspec.structs.replace(manifest, **about)
    (told.folder / f"{FILE}.manifest.json").write_bytes(msgspec.json.encode(forged))
    return forged


async def test_late_events_of_an_archived_month_are_new_and_known_ones_are_repeats(told: Old) -> None:
    _, november = await told.archive()
    known = list(Archive(told.config.archive).rows(FILE))[1]
    before = await told.count("event_repeats")
    about = ("SagaStarted", 1, {"late": True})
    late = told.story.payment_event(known.aggregate_id, *about, occurred_at=known.occurred_at)
    for occurred_at in (known.occurred_at, known.occurred_at + timedelta(seconds=1)):
        told.story.payment_event(known.aggregate_id, *about, event_id=known.event_id, occurred_at=occurred_at)
    await told.write()
    assert await told.count("event_repeats") == before + 1
    assert await told.count("events WHERE occurred_at < '2024-12-01'") == 2
    assert (await told.states())["2024-11"] == ("both", 2, november.rows)
    assert await told.touched() == []
    everything = await told.tables()
    (second,) = await told.archive()
    assert (second.file, second.part, second.rows) == ("events_y2024m11.2.jsonl.gz", 2, 2)
    assert await told.touched() == []
    told.repeat(late)
    await told.write()
    assert await told.count("event_repeats") == before + 2
    assert {one.part for one in await attach_month(told.config, NOVEMBER)} == {1, 2}
    assert (
        await told.count("events WHERE occurred_at >= '2024-11-01'")
        == len(everything["events"]) + november.rows
    )
    assert await told.touched() == []


async def test_a_projector_that_knew_the_month_writes_late_events_at_its_second_attempt(told: Old) -> None:
    sink, story, late = PostgresSink(told.pool), Story(), datetime(2024, 11, 5, tzinfo=UTC)
    for archives in (True, False):
        story.payment_event(story.deposit(story.open(), 1), "SagaStarted", 1, {}, occurred_at=late)
        batch = story.batch()
        if archives:
            await sink.write(batch)
            await told.archive()
    with pytest.raises(Unavailable, match="no partition of relation"):
        await sink.write(batch)
    await sink.write(batch)
    assert await told.count("events WHERE occurred_at < '2024-12-01'") == 1


async def test_an_empty_partition_that_was_made_again_is_dropped_without_a_file(told: Old) -> None:
    await told.archive()
    await told.pool.execute("SELECT ensure_events_partition('2024-11-01')")
    assert await told.archive() == []
    assert await told.pool.fetchval("SELECT to_regclass('events_y2024m11')") is None
    assert len(list(told.folder.iterdir())) == 4


async def test_attached_rows_keep_the_offsets_moved_after_archiving(told: Old) -> None:
    await close_day(told.pool, told.wallet_topic, "")
    before = await told.tables()
    await told.archive()
    lost = told.story.lose_log(copies=2)
    assert await move_positions(told.config.postgres, before=lost, after=told.story.written)
    assert await told.touched() == []
    offset = "SELECT max(source_offset) FROM events"
    await attach_month(told.config, NOVEMBER)
    assert await told.pool.fetchval(offset) < 0
    assert await told.touched() == []
    assert len((await told.tables())["events"]) < len(before["events"])
    (again,) = await told.archive()
    assert again.part == 2
    assert await told.touched() == []


async def test_commands_that_need_all_events_refuse_name_the_months_and_change_nothing(told: Old) -> None:
    await told.archive()
    before = await told.tables()
    with pytest.raises(
        Rejected, match=r"projections needs all events, and those of 2024-10, 2024-11 .* attach"
    ):
        async with open_rebuild_tables(told.config.postgres):
            raise AssertionError("it began")
    with pytest.raises(Rejected, match=r"filling Kafka needs all events, and those of 2024-10, 2024-11 are"):
        async with open_lost_log_rows(told.config.postgres):
            raise AssertionError("it began")
    assert await told.pool.fetchval("SELECT to_regnamespace('replay')") is None
    assert differing(before, await told.tables()) == {}


async def test_a_rebuild_and_an_archiving_exclude_each_other(told: Old) -> None:
    async with open_rebuild_tables(told.config.postgres):
        with pytest.raises(
            Unavailable, match="another replay or archive command of this database is running"
        ):
            async with lock_months(told.config.postgres, patience_s=0.3):
                raise AssertionError("it began")
    assert len(await told.archive()) == 2


async def test_an_archived_event_has_no_proof_until_it_is_attached(told: Old) -> None:
    await close_day(told.pool, told.wallet_topic, "")
    await told.archive()
    row = next(Archive(told.config.archive).rows(FILE))
    async with open_audit(told.pool) as look:
        with pytest.raises(Rejected, match="archive attach 2024-11"):
            await make_proof(look, told.wallet_topic, row.event_id)
    await attach_month(told.config, NOVEMBER)
    async with open_audit(told.pool) as look:
        assert verify_proof(await make_proof(look, told.wallet_topic, row.event_id))


async def test_a_payment_shows_that_its_first_steps_are_archived(told: Old) -> None:
    old_one = (
        "SELECT aggregate_id::text FROM events WHERE occurred_at < '2024-11-02' ORDER BY occurred_at DESC"
    )
    payment_id, model = await told.pool.fetchval(old_one), PostgresReadModel(told.pool)
    before = await model.payment(payment_id)
    assert before is not None
    assert before.archived_month is None
    await told.archive()
    after = await model.payment(payment_id)
    assert after == msgspec.structs.replace(before, steps=(), archived_month="2024-11")
    assert "archive attach 2024-11" in payment_text(msgspec.to_builtins(to_response(after)))


async def test_the_migration_is_not_taken_back_while_months_are_archived(told: Old) -> None:
    await told.archive()
    with pytest.raises(Rejected, match="0016_archive: months are archived"):
        await migrations.downgrade(told.config.postgres, 15)
    for month in (OCTOBER, NOVEMBER):
        await attach_month(told.config, month)
    before = await told.tables()
    assert (await migrations.downgrade(told.config.postgres, 15))[-1] == "0016_archive"
    assert (await migrations.upgrade(told.config.postgres))[0] == "0016_archive"
    assert differing(before, await told.tables()) == {}
    assert len(await told.archive()) == 2
    assert await told.touched() == []


async def test_events_with_a_column_unknown_to_the_archive_are_not_archived(told: Old) -> None:
    await told.execute("ALTER TABLE events ADD COLUMN novel TEXT")
    with pytest.raises(InvariantBroken, match="differ in columns: \\['novel'\\]"):
        await told.archive()


async def test_a_running_report_delays_the_archiving_of_its_month_and_no_row_is_lost(told: Old) -> None:
    before = await told.tables()
    async with told.pool.acquire() as reader, reader.transaction():
        await reader.fetch("SELECT count(*) FROM events")
        with pytest.raises(Unavailable, match="`events` is locked by a reader"):
            async with lock_months(told.config.postgres) as months:
                manifest = written(told, [row async for row in months.rows(NOVEMBER)])
                await months.retire(NOVEMBER, manifest, detach_backoff=Backoff(attempts_max=1))
    assert differing(before, await told.tables()) == {}
    assert len(await told.archive()) == 2


def written(told: Old, rows: list[ArchivedRow]) -> Manifest:
    """Write a file of rows."""
    archive = Archive(told.config.archive)
    with archive.draft(NOVEMBER) as draft:
        for row in rows:
            draft.add(row)
        return archive.keep(draft, noted=set(), schema=16)


async def test_a_row_inserted_during_archiving_is_not_dropped(told: Old) -> None:
    async with lock_months(told.config.postgres) as months:
        manifest = written(told, [row async for row in months.rows(NOVEMBER)])
        late = datetime(2024, 11, 5, tzinfo=UTC)
        told.story.payment_event(
            told.story.deposit(told.story.open(), 1), "SagaStarted", 1, {}, occurred_at=late
        )
        await told.write()
        assert not await months.retire(NOVEMBER, manifest)
    assert await told.count("archived_events") == 0
    _, november = await told.archive()
    assert (november.part, november.rows) == (2, manifest.rows + 1)
