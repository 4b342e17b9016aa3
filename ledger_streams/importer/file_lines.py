"""Lines of an import file: read from a path or standard input, unpacked, decoded and numbered.

A line ends with a line feed.  Reading drops the part of a line beyond a bound, so that
neither a large file nor a gzip bomb fills the memory.  Bytes that the encoding cannot
decode become surrogates, see `characters.is_text`.
"""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, Final, TextIO, cast

import msgspec

from ledger_streams.importer.rows import RECORD_BYTES_MAX, UnusableFile

STANDARD_INPUT: Final = Path("-")
GZIP_MAGIC: Final = b"\x1f\x8b"
_PIECE_CHARACTERS: Final = RECORD_BYTES_MAX + len("\r\n")
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, longer ones first: UTF-32's begins with UTF-16's."""
_BYTE_ORDER_MARK: Final = "\ufeff"
_HEAD_BYTES: Final = 4


class Line(msgspec.Struct, frozen=True):
    """A line with its end, or the beginning of one that is not `whole`; `quotes` counts all of the line's."""

    number: int
    text: str
    quotes: int
    whole: bool = True


class Lines:
    """The lines of a file in order, with look-ahead."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._number = 0
        self._ahead: deque[Line] = deque()

    def __iter__(self) -> Iterator[Line]:
        while (line := self.next()) is not None:
            yield line

    def next(self) -> Line | None:
        """Return the next line, or None at the end."""
        return self._ahead.popleft() if self._ahead else self._read()

    def put_back(self, lines: list[Line]) -> None:
        """Put lines back, to be returned next in their order."""
        self._ahead.extendleft(reversed(lines))

    def _read(self) -> Line | None:
        text = piece = self._text.readline(_PIECE_CHARACTERS)
        if not text:
            return None
        self._number += 1
        if self._number == 1:
            text = text.removeprefix(_BYTE_ORDER_MARK)
        quotes, whole = text.count('"'), True
        while not piece.endswith("\n") and (piece := self._text.readline(_PIECE_CHARACTERS)):
            quotes, whole = quotes + piece.count('"'), False
        return Line(self._number, text, quotes, whole and utf8_bytes(text) <= _PIECE_CHARACTERS)


def utf8_bytes(text: str) -> int:
    """Return the length of the text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def name_of(path: Path) -> str:
    """Return the file's name for messages."""
    return "standard input" if path == STANDARD_INPUT else str(path)


@contextmanager
def open_lines(path: Path, *, encoding: str = "utf-8") -> Iterator[Lines]:
    """Open the file (`-`: standard input), plain or gzip; raises UnusableFile if it is not text."""
    name = name_of(path)
    if path == STANDARD_INPUT and sys.stdin is None:
        raise UnusableFile(f"{name}: it is closed")
    try:
        with nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else path.open("rb") as raw:
            source = _ahead(raw)
            with gzip.open(source) if source.peek().startswith(GZIP_MAGIC) else nullcontext(source) as plain:
                yield Lines(_decoded(_ahead(cast("BinaryIO", plain)), encoding, name))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UnusableFile(f"{name}: damaged gzip: {error}") from error
    except UnicodeError as error:
        problem = error.reason if isinstance(error, UnicodeDecodeError) else str(error)
        raise UnusableFile(f"{name}: not {encoding} text: {problem} (see --encoding)") from error
    except OSError as error:
        raise UnusableFile(f"{name}: {error.strerror or error}") from error


def _decoded(source: io.BufferedReader, encoding: str, name: str) -> TextIO:
    head, chosen = source.peek()[:_HEAD_BYTES], codecs.lookup(encoding).name
    marked = next((marked for mark, marked in _MARKS if head.startswith(mark)), None)
    if marked is not None and not chosen.startswith(marked):
        raise UnusableFile(
            f"{name}: begins with the byte order mark of {marked}, not {encoding} (see --encoding)"
        )
    return io.TextIOWrapper(source, encoding, errors="surrogateescape", newline="\n")


class _Ahead(io.RawIOBase):
    """A byte stream whose first few bytes are read in advance."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._head = raw.read(_HEAD_BYTES) or b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        into = memoryview(cast("bytearray", buffer))
        some = self._head or self._raw.read(len(into)) or b""
        self._head = b""
        into[: len(some)] = some
        return len(some)


def _ahead(raw: BinaryIO) -> io.BufferedReader:
    """Return a reader whose `peek` has the first bytes, even if a pipe delivers them one by one."""
    return io.BufferedReader(_Ahead(raw))
