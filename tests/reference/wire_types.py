"""Types of the wire in words: a struct's fields as the rows of a table."""

from __future__ import annotations

import builtins
import types
import typing
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from tests.reference.markdown import code, codes

WORDS: dict[Any, str] = {
    str: "text",
    int: "integer",
    bool: "true or false",
    type(None): "null",
    msgspec.Raw: "object",
    Any: "any JSON",
}


def fields(struct: type[msgspec.Struct]) -> list[list[str]]:
    """Return name, type, and whether it is required, of each field as it is called on the wire."""
    hints = get_type_hints(struct, include_extras=True)
    return [
        [code(field.encode_name), in_words(hints[field.name]), "yes" if field.required else "no"]
        for field in msgspec.structs.fields(struct)
    ]


def described(struct: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    """Yield the structs that stand in a struct's fields, each once."""
    found: dict[type[msgspec.Struct], None] = {}
    for hint in get_type_hints(struct).values():
        for part in _parts(hint):
            found[part] = None
            found.update(dict.fromkeys(described(part)))
    yield from found


def _parts(hint: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    for each in get_args(hint):
        yield from _parts(each)


def in_words(hint: Any) -> str:
    """Return a type in words."""
    arguments = get_args(hint)
    match get_origin(hint):
        case typing.Annotated:
            text = f"{in_words(arguments[0])}{_bounds(arguments[1:])}"
        case typing.Union | types.UnionType:
            text = " or ".join(in_words(each) for each in arguments)
        case builtins.list | builtins.tuple:
            text = f"list of {in_words(arguments[0])}"
        case builtins.dict:
            text = f"object of {in_words(arguments[1])} by {in_words(arguments[0])}"
        case _:
            text = _plain(hint)
    return text


def _plain(hint: Any) -> str:
    if isinstance(hint, typing.NewType):
        return f"UUID ({hint.__name__})"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return f"one of {codes(hint)}"
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return code(hint.__name__)
    return WORDS[hint]


def _bounds(metas: tuple[Any, ...]) -> str:
    bounds = [f"from {meta.ge}" for meta in metas if getattr(meta, "ge", None) is not None]
    return f", {', '.join(bounds)}" if bounds else ""
