"""The page of settings: every LEDGER_* variable, its type, default, limits and meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from ledger_streams.setting_checks import CHECKS, SECRET
from ledger_streams.settings import Settings
from tests.reference.markdown import code, codes, document, table

UNREADABLE: Final = "@"
"""Every check refuses this text, and says in its error what it takes."""
TYPES: Final = {str: "text", int: "integer", float: "number", bool: "boolean", Path: "path"}
LIMITS: Final = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}

INTRO: Final = """\
Settings are environment variables. Every program of the project reads the same set at its start; the
defaults are those of the local stack. A value that cannot be used, a combination that cannot work, and a
`LEDGER_` name that is not a setting end the program with an error that names the setting. Numbers carry
their unit in the name: `_ms`, `_s`."""


def page() -> str:
    """Return the page."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    return document(
        "Settings",
        "`ledger_streams/settings.py`, `kafka_settings.py` and `setting_checks.py`",
        INTRO,
        [
            table(["variable", "default", "type", "allowed", "meaning"], rows),
            "## Network ports",
            "Ports that the programs use by default. Each comes from the setting beside it.",
            table(["port", "setting", "meaning"], _ports()),
        ],
    )


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"LEDGER_{name.upper()}"


def _row(name: str, field: FieldInfo) -> list[str]:
    meaning = field.description or ""
    if name in SECRET or not field.repr:
        meaning += ". Secret: no message repeats it"
    default = code(field.default) or "empty"
    return [code(variable(name)), default, _type(field.annotation), allowed(name, field), meaning]


def _type(annotation: Any) -> str:
    return "one of a list" if get_origin(annotation) is Literal else TYPES[annotation]


def allowed(name: str, field: FieldInfo) -> str:
    """Return in words which values a setting takes; empty if any of its type."""
    if get_origin(field.annotation) is Literal:
        values = get_args(field.annotation)
        return codes(value for value in values if value) + (", or empty" if "" in values else "")
    limits = [
        f"{words} {getattr(each, name)}"
        for each in field.metadata
        for name, words in LIMITS.items()
        if getattr(each, name, None) is not None
    ]
    return ", ".join(limits) or _checked(name)


def _checked(name: str) -> str:
    if name not in CHECKS:
        return ""
    try:
        CHECKS[name](UNREADABLE)
    except ValueError as error:
        said = str(error).removeprefix(f"{variable(name)}: ").replace(repr(UNREADABLE), "")
        return said.strip().removeprefix("must be ").partition(";")[0]
    raise AssertionError(f"the check of {variable(name)} takes {UNREADABLE!r}: its limits cannot be told")


def _ports() -> Iterator[list[str]]:
    for name, field in Settings.model_fields.items():
        if name.endswith("_port"):
            yield [code(field.default), code(variable(name)), field.description or ""]
        for port in re.findall(r"[\w.\]]:(\d{2,5})\b", str(field.default)):
            yield [code(port), code(variable(name)), field.description or ""]
