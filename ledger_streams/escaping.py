"""Escaping: makes input text safe for terminals, log lines and spreadsheets.

A terminal executes control characters, and reorders a line with bidirectional ones.  A
spreadsheet evaluates a cell that begins like a formula.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

OURS: Final = frozenset({"ledger_streams", "web", "agents", "tables"})
"""Top-level loggers whose arguments are escaped; log lines of libraries stay unchanged."""
FORMULA_STARTS: Final = frozenset("=+-@")
NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")


def terminal_text(text: str) -> str:
    r"""Return the text with unprintable characters escaped, such as `\x1b`, `\n`, `\u202e`."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def json_for_terminal(text: str) -> str:
    r"""Return equivalent JSON with unprintable characters, except line breaks, as `\uNNNN`."""
    if all(line.isprintable() for line in text.split("\n")):
        return text
    return "".join(c if c == "\n" or _is_plain(c) else _in_json(c) for c in text)


def csv_cell(value: object, *, is_number: bool = False) -> object:
    """Return a spreadsheet cell: control characters escaped, a leading apostrophe before a formula.

    `is_number` marks numbers of the system, which may have a sign.
    """
    if value is None or isinstance(value, int):
        return value
    text = str(value)
    if is_number and NUMBER.fullmatch(text):
        return text
    shown = terminal_text(text)
    return f"'{shown}" if _is_formula(text) else shown


def _is_formula(text: str) -> bool:
    """Return whether a spreadsheet may evaluate a cell.

    Some spreadsheets skip leading spaces, some accept full-width signs.
    """
    if text[:1] in ("\t", "\r", "\n"):
        return True
    for character in text:
        if character.isspace() or unicodedata.category(character) in ("Cc", "Cf"):
            continue
        return unicodedata.normalize("NFKC", character)[:1] in FORMULA_STARTS
    return False


def escape_log_arguments() -> None:
    """Escape the arguments of the system's log lines, so that input text cannot forge a line."""
    plain = logging.getLogRecordFactory()
    if getattr(plain, "escapes", False):
        return

    def made(*arguments: Any, **more: Any) -> logging.LogRecord:
        record = plain(*arguments, **more)
        if record.args and record.name.partition(".")[0] in OURS:
            record.args = _logged(record.args)
        return record

    made.escapes = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(made)


def _logged(arguments: tuple[object, ...] | Mapping[str, object]) -> Any:
    if isinstance(arguments, Mapping):
        return {name: _argument(value) for name, value in arguments.items()}
    return tuple(map(_argument, arguments))


def _argument(value: object) -> object:
    if isinstance(value, str | BaseException) and not (text := str(value)).isprintable():
        return terminal_text(text)
    return value


def _escaped(character: str) -> str:
    return character if _is_plain(character) else character.encode("unicode_escape").decode()


def _is_plain(character: str) -> bool:
    """Return whether a character is printable, or a space that Python calls unprintable (no-break space)."""
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _in_json(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n]:02x}{units[n + 1]:02x}" for n in range(0, len(units), 2))
