"""Commands of the archive: write a month to a file, attach it again, check all files.

A month is written, read back and verified, and only then dropped from the table.  The command may be
killed at any step: the month is then still in the table, or complete in a noted file.  The next call
recognises a file that was written but not noted.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, date, datetime
from typing import Final

import msgspec

from ledger_streams.archive.checks import findings
from ledger_streams.archive.database import ArchivedFile, Months, lock_months, read_months
from ledger_streams.archive.files import Archive, Manifest, month_name
from ledger_streams.audit.chains import Finding
from ledger_streams.errors import Rejected, Unavailable
from ledger_streams.settings import Settings

Say = Callable[[str], None]
ATTEMPTS_MAX: Final = 5
"""Attempts to write a month; late events rarely arrive during two attempts in a row."""


class MonthStatus(msgspec.Struct, frozen=True):
    """A month and the number of its rows in the table and in files."""

    month: str
    state: str
    """`attached`, `archived`, or `both` where events came after it was archived."""
    rows: int
    """In the table."""
    archived_rows: int
    files: list[str]
    bytes: int


class ArchiveCheck(msgspec.Struct, frozen=True):
    """Result of a check: files and rows compared, and the findings."""

    files: int
    rows: int
    findings: list[Finding]

    @property
    def exit_code(self) -> int:
        """Return 0 when every file is what was archived."""
        return 1 if self.findings else 0


def parse_month(text: str) -> date:
    """Read a month like 2024-11; raises Rejected."""
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError as error:
        detail = f"{text!r} is not a month; write it as 2024-11"
        raise Rejected(status=400, title="Month", detail=detail) from error


def months_before(today: date, months: int) -> date:
    """Return the first month that is not older than so many whole months."""
    index = today.year * 12 + today.month - 1 - months
    return date(index // 12, index % 12 + 1, 1)


async def archive_months(config: Settings, before: date, say: Say) -> list[Manifest]:
    """Archive all months before `before`, oldest first; return the manifests.  Drop empty months.

    Raises Rejected for a month that has not ended.
    """
    if before > (this := datetime.now(UTC).date().replace(day=1)):
        detail = f"{month_name(this)} has not ended; only earlier months can be archived"
        raise Rejected(status=409, title="Not ended", detail=detail)
    archive, found = Archive(config.archive), []
    async with lock_months(config.postgres_owner) as months:
        schema = await months.schema()
        for month in await months.partitions():
            manifest = await _archive(archive, months, month, schema) if month < before else None
            if manifest is not None:
                found.append(manifest)
                say(f"{manifest.month}: {manifest.rows:,} rows are in {manifest.file}")
    return found


async def _archive(archive: Archive, months: Months, month: date, schema: int) -> Manifest | None:
    """Write the month, verify the file, drop the rows; return the manifest, or None for an empty month."""
    for _ in range(ATTEMPTS_MAX):
        try:
            manifest = await _write_draft(archive, months, month, schema)
        except OSError as error:
            raise Unavailable(dependency="the archive", detail=str(error)) from error
        if await months.retire(month, manifest):
            return manifest
    name = month_name(month)
    detail = f"late events of {name} arrived during each of {ATTEMPTS_MAX} attempts; run it again later"
    raise Unavailable(dependency="postgres", detail=detail)


async def _write_draft(archive: Archive, months: Months, month: date, schema: int) -> Manifest | None:
    noted = {one.part for one in await months.archives() if one.month == month}
    with archive.draft(month) as draft:
        async with aclosing(months.rows(month)) as rows:
            async for row in rows:
                draft.add(row)
        if draft.rows:
            return archive.keep(draft, noted=noted, schema=schema)
        draft.discard()
        return None


async def attach_month(config: Settings, month: date) -> list[ArchivedFile]:
    """Insert a month's archived rows into `events` again, after a check of their files; return the files.

    Raises Rejected when the month is not archived, or when a file fails the check; its rows stay out.
    """
    archive = Archive(config.archive)
    async with lock_months(config.postgres_owner) as months:
        everything = await months.archives()
        archived = [one for one in everything if one.month == month]
        if not archived:
            names = sorted({month_name(one.month) for one in everything})
            detail = f"{month_name(month)} is not archived; archived: {', '.join(names) or 'none'}"
            raise Rejected(status=404, title="Unknown", detail=detail)
        async with months.connection.transaction(isolation="repeatable_read", readonly=True):
            _, found = await findings(archive, months, month=month)
        if found:
            detail = "; ".join(f"{one.table}, {one.subject}: {one.detail}" for one in found[:3])
            raise Rejected(status=409, title="Not as archived", detail=detail)
        for one in archived:
            await months.attach(one, archive.rows(one.file))
    return archived


async def month_statuses(config: Settings) -> list[MonthStatus]:
    """Return the status of each month that has rows in the table or in files."""
    manifests = Archive(config.archive).manifests()
    async with read_months(config.postgres_owner) as months:
        rows, archives = await months.standing(), await months.archives()
    found = []
    for month in sorted({*rows, *(one.month for one in archives)}):
        name, archived = month_name(month), [one for one in archives if one.month == month]
        files = [one for one in manifests if one.month == name]
        state = "attached" if not archived else "both" if month in rows else "archived"
        counts = rows.get(month, 0), sum(one.rows for one in archived)
        sizes = [one.file for one in files], sum(one.bytes for one in files)
        found.append(MonthStatus(name, state, *counts, *sizes))
    return found


async def check_archive(config: Settings) -> ArchiveCheck:
    """Compare all files with their manifests, and all archived rows with their notes in PostgreSQL."""
    archive = Archive(config.archive)
    async with read_months(config.postgres_owner) as months:
        rows, found = await findings(archive, months)
    return ArchiveCheck(len(archive.manifests()), rows, found)
