"""The archive's files: a month of `events` as compressed lines of JSON, with a manifest beside them.

A file is valid once its manifest exists, which is written last.  Both are written under a temporary
name, synced to disk and renamed, so a killed command leaves no file that looks complete.  The same
rows make the same bytes: a later run recognises a file that PostgreSQL has not noted, or whose rows
were attached again, and writes no second one.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator, Set
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from ledger_streams.errors import InvariantBroken, Rejected

LEVEL: Final = 6
"""gzip's own default; 9 takes twice the time for one per cent."""
UNREADABLE: Final = (OSError, EOFError, zlib.error, msgspec.DecodeError)
"""Errors of reading a damaged file; gzip's own error is an OSError."""


class ArchivedRow(msgspec.Struct, frozen=True):
    """A row of `events` with all its columns: one line of a file."""

    event_id: str
    aggregate_id: str
    event_type: str
    event_data: msgspec.Raw
    event_version: int
    occurred_at: datetime
    topic: str
    source_partition: int
    source_offset: int
    correlation_id: str | None
    causation_id: str | None
    chain_hash: str | None
    """Hexadecimal."""
    recorded_at: datetime


class Manifest(msgspec.Struct, frozen=True):
    """Description of one file, stored beside it."""

    file: str
    month: str
    part: int
    """1, or more where events came after the month was archived."""
    rows: int
    bytes: int
    sha256: str
    """Of the compressed file."""
    first_occurred_at: datetime
    last_occurred_at: datetime
    schema: int
    """The last migration of the database that the rows were in."""
    made_at: datetime


_row: Final = msgspec.json.Decoder(ArchivedRow).decode
_line: Final = msgspec.json.Encoder().encode
_manifest: Final = msgspec.json.Decoder(Manifest).decode


class Archive:
    """The archive's folder.  A missing folder is Rejected, not created: its disk may be unmounted."""

    def __init__(self, folder: str) -> None:
        if not folder:
            raise Rejected(
                status=400, title="No archive", detail="set LEDGER_ARCHIVE to the archive's folder"
            )
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise Rejected(
                status=400, title="No archive", detail=f"LEDGER_ARCHIVE: there is no folder {folder}"
            )

    def manifests(self) -> list[Manifest]:
        """Return all manifests, by month and part; raises InvariantBroken for one that cannot be read."""
        found = []
        for path in self.folder.glob("events_y*.manifest.json"):
            try:
                found.append(_manifest(path.read_bytes()))
            except UNREADABLE as error:
                raise InvariantBroken(f"{path}: {error}") from error
        return sorted(found, key=lambda manifest: (manifest.month, manifest.part))

    def draft(self, month: date) -> Draft:
        """Start the file of a month; an unfinished one of a killed command is overwritten."""
        return Draft(self.folder / f"{file_name(month, 1)}.tmp", month)

    def keep(self, draft: Draft, *, noted: Set[int], schema: int) -> Manifest:
        """Name the file, write its manifest, read the file back from disk and return the manifest.

        `noted` are the month's parts that PostgreSQL has noted already.  An existing file with the same
        content is kept instead of the draft.
        """
        draft.end()
        month = month_name(draft.month)
        known = {one.part: one for one in self.manifests() if one.month == month}
        for part, one in known.items():
            if part not in noted and one.sha256 == draft.sha256 and self.problem(one) is None:
                draft.path.unlink()
                return one
        part = next(number for number in count(1) if number not in known and number not in noted)
        manifest = draft.manifest(file_name(draft.month, part), part=part, schema=schema)
        draft.path.rename(self.folder / manifest.file)
        self._write(f"{manifest.file}.manifest.json", msgspec.json.format(msgspec.json.encode(manifest)))
        if problem := self.problem(manifest):
            raise InvariantBroken(f"{manifest.file}, read back: {problem}")
        return manifest

    def rows(self, file: str) -> Iterator[ArchivedRow]:
        """Yield the rows of a file; raises one of UNREADABLE where it is damaged."""
        with gzip.open(self.folder / file, "rb") as lines:
            for line in lines:
                yield _row(line)

    def problem(self, manifest: Manifest) -> str | None:
        """Return how the file differs from its manifest, or None."""
        try:
            sha256 = self.sha256(manifest.file)
            if sha256 != manifest.sha256:
                return f"sha256 is {sha256}, not {manifest.sha256} of the manifest"
            rows = sum(1 for _ in self.rows(manifest.file))
        except UNREADABLE as error:
            return f"cannot be read: {error}"
        return None if rows == manifest.rows else f"{rows} rows, not {manifest.rows} of the manifest"

    def sha256(self, file: str) -> str:
        """Return the hash of a file as it is on the disk."""
        with (self.folder / file).open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()

    def _write(self, name: str, content: bytes) -> None:
        beside = self.folder / f"{name}.tmp"
        with beside.open("wb") as out:
            out.write(content)
            _fsync(out)
        beside.rename(self.folder / name)
        names = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(names)
        finally:
            os.close(names)


class Draft:
    """A file that is being written; memory does not grow with its rows."""

    def __init__(self, path: Path, month: date) -> None:
        self.path, self.month = path, month
        self._out = path.open("wb")
        self._hashed = _HashingWriter(self._out)
        self._lines = gzip.GzipFile("", "wb", LEVEL, self._hashed, mtime=0)
        self._first = datetime.max.replace(tzinfo=UTC)
        self._last = datetime.min.replace(tzinfo=UTC)
        self.rows = 0

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *_: object) -> None:
        self._out.close()

    def add(self, row: ArchivedRow) -> None:
        """Write the next row."""
        self._lines.write(_line(row) + b"\n")
        self._first, self._last = min(self._first, row.occurred_at), max(self._last, row.occurred_at)
        self.rows += 1

    def end(self) -> None:
        """Sync the whole file to disk."""
        self._lines.close()
        _fsync(self._out)
        self._out.close()

    def discard(self) -> None:
        """Delete the draft."""
        self.end()
        self.path.unlink()

    @property
    def sha256(self) -> str:
        """The hash of what was written."""
        return self._hashed.sha256.hexdigest()

    def manifest(self, file: str, *, part: int, schema: int) -> Manifest:
        """Return the manifest of the file."""
        times = (self._first, self._last)
        about = (file, month_name(self.month), part, self.rows, self._hashed.length_bytes, self.sha256)
        return Manifest(*about, *times, schema, datetime.now(UTC))


class _HashingWriter:
    """Writer that also hashes the bytes; the file read back from disk is compared with that hash."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.sha256 = hashlib.sha256()
        self.length_bytes = 0

    def write(self, content: bytes) -> int:
        self.sha256.update(content)
        self.length_bytes += len(content)
        return self._out.write(content)

    def flush(self) -> None:
        self._out.flush()


def file_name(month: date, part: int) -> str:
    """Return the name of a file: events_y2024m11.jsonl.gz, of a second part events_y2024m11.2.jsonl.gz."""
    return f"events_y{month:%Y}m{month:%m}{'' if part == 1 else f'.{part}'}.jsonl.gz"


def month_name(month: date) -> str:
    """Return the month as text: 2024-11."""
    return f"{month:%Y-%m}"


def _fsync(out: BinaryIO) -> None:
    out.flush()
    os.fsync(out.fileno())
