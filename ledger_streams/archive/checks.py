"""Verification of archive files against the hashes that PostgreSQL keeps of their rows.

PostgreSQL keeps the chain hash of each archived row.  The check computes the hash again from the
row in the file and the hash of the row before it.  Files and notes are read in the same order, so
memory use is constant.  A row is identified by its event id: its offset moves when a log is lost,
by the same amount for all rows of a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

import asyncpg

from ledger_streams.adapters.postgres.hash_chain import GENESIS, event_content, link
from ledger_streams.adapters.postgres.rows import EventRow
from ledger_streams.archive.database import ROWS_AT_ONCE, SQL, STATEMENT_S_MAX, ArchivedFile, Months
from ledger_streams.archive.files import (
    UNREADABLE,
    Archive,
    ArchivedRow,
    Manifest,
    file_name,
    month_name,
)
from ledger_streams.audit.chains import FINDINGS_MAX, Finding

WHOLE: Final = "all of it"
"""Place of a finding that concerns the whole file."""


async def findings(
    archive: Archive, months: Months, *, month: date | None = None
) -> tuple[int, list[Finding]]:
    """Check the archived files of one month, or of all; return the rows checked and the findings."""
    archived = [one for one in await months.archives() if month in (None, one.month)]
    manifests = {one.file: one for one in archive.manifests()}
    found = [
        finding for one in archived for finding in _file_findings(archive, one, manifests.pop(one.file, None))
    ]
    for manifest in manifests.values() if month is None else ():
        if problem := archive.problem(manifest):
            found.append(Finding(manifest.file, WHOLE, "", manifest.month, problem))
    checks = {(one.month, one.part): FileCheck(archive, one) for one in archived}
    stray: dict[str, Finding] = {}
    cursor = months.connection.cursor(SQL["noted"], month, prefetch=ROWS_AT_ONCE, timeout=STATEMENT_S_MAX)
    async for noted in cursor:
        if check := checks.get((noted["month"], noted["part"])):
            check.add(noted)
        else:
            file, name = file_name(noted["month"], noted["part"]), month_name(noted["month"])
            stray[file] = Finding(file, WHOLE, "", name, "rows of it are noted, and it is not in `archives`")
    found += stray.values()
    for check in checks.values():
        check.end()
    return sum(check.rows for check in checks.values()), found + [
        finding for check in checks.values() for finding in check.found
    ]


def _file_findings(archive: Archive, archived: ArchivedFile, manifest: Manifest | None) -> Iterator[Finding]:
    """Compare a file with its manifest and with its row in `archives`."""
    problem = archive.problem(manifest) if manifest else "there is no manifest"
    if manifest and not problem and manifest.sha256 != archived.sha256:
        problem = f"sha256 is {manifest.sha256}, {archived.sha256} was archived"
    if problem:
        yield Finding(archived.file, WHOLE, "", month_name(archived.month), problem)


class FileCheck:
    """Compares one file with the notes of its rows, both read in order."""

    def __init__(self, archive: Archive, archived: ArchivedFile) -> None:
        self._archived = archived
        self._left: Iterator[ArchivedRow] | None = archive.rows(archived.file)
        """None when the file is finished or its check has stopped."""
        self._moved: int | None = None
        self.rows = 0
        self.found: list[Finding] = []

    def add(self, noted: asyncpg.Record) -> None:
        """Compare the next note with the next row of the file."""
        row = self._next()
        if row is None:
            return
        self.rows += 1
        if (row.event_id, row.occurred_at) != (noted["event_id"], noted["occurred_at"]):
            self._say(row, f"event {noted['event_id']} was archived in this place")
            self._left = None
            return
        bears = noted["chain_hash"] or b""
        moved = row.source_offset - noted["source_offset"]
        self._moved = moved if self._moved is None else self._moved
        if link(noted["before"] or GENESIS, event_content(event_row(row))) != bears:
            self._say(row, "changed: it does not make the hash that its chain has")
        elif row.chain_hash != (bears.hex() or None):
            self._say(row, "its hash is not the one that its chain has")
        elif moved != self._moved:
            self._say(row, f"is noted at offset {noted['source_offset']}, others by {self._moved} further")
        if len(self.found) >= FINDINGS_MAX:
            self._left = None

    def end(self) -> None:
        """Report a file that has more rows than PostgreSQL noted."""
        if self._left is not None and (row := self._next(may_end=True)):
            self._say(row, "is not noted, nor what follows")

    def _next(self, *, may_end: bool = False) -> ArchivedRow | None:
        if self._left is None:
            return None
        detail = f"ends after {self.rows} rows"
        try:
            if row := next(self._left, None):
                return row
        except UNREADABLE as error:
            detail, may_end = f"cannot be read after {self.rows} rows: {error}", False
        self._left = None
        if not may_end:
            month = month_name(self._archived.month)
            self.found.append(Finding(self._archived.file, WHOLE, "", month, detail))
        return None

    def _say(self, row: ArchivedRow, detail: str) -> None:
        subject = f"event {row.event_id} ({row.event_type} of {row.aggregate_id})"
        place = f"{row.topic}[{row.source_partition}] {row.source_offset}"
        month = month_name(self._archived.month)
        self.found.append(Finding(self._archived.file, subject, place, month, detail))


def event_row(row: ArchivedRow) -> EventRow:
    """Return the row as it was written to `events`."""
    data = bytes(row.event_data).decode()
    about = (row.event_id, row.aggregate_id, row.event_type, data, row.event_version, row.occurred_at)
    source = (row.topic, row.source_partition, row.source_offset)
    return EventRow(*about, *source, row.correlation_id, row.causation_id)
