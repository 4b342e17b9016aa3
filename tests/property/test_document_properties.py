"""Documents: a repeated key is found in every spelling, and accepted content is read back."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ledger_streams import wire
from ledger_streams.errors import Unreadable
from ledger_streams.wire.repeated_keys import repeated_key

Pairs = list[tuple[str, Any]]
"""An object as it is written: a key may stand in it twice."""

keys = st.sampled_from(["a", "b", "a b", ":", '"', "é", "\\", ""]) | st.text(alphabet='a":\\ é', max_size=3)
scalars = (
    st.none() | st.booleans() | st.integers() | st.text(alphabet='a":,{} \\é', max_size=6) | st.just(1.5)
)
objects = st.recursive(
    scalars,
    lambda inner: st.lists(st.tuples(keys, inner), max_size=4) | st.tuples(inner, inner),
    max_leaves=12,
)
blanks = st.text(alphabet=" \t\r\n", max_size=2)


def written(value: Any, draw: st.DataObject) -> str:
    """Write a value with white space and escapes at random; a list of pairs is an object, a tuple a list."""
    blank, again = draw.draw(blanks), draw.draw(blanks)
    if isinstance(value, list):
        pairs = (f"{text(key, draw)}{again}:{blank}{written(part, draw)}" for key, part in value)
        return "{" + f"{again},{blank}".join(pairs) + blank + "}"
    if isinstance(value, tuple):
        return f"[{blank}" + f",{again}".join(written(part, draw) for part in value) + "]"
    return text(value, draw) if isinstance(value, str) else json.dumps(value)


def text(value: str, draw: st.DataObject) -> str:
    how = draw.draw(st.integers(0, 2))
    if how == 2:
        return '"' + "".join(f"\\u{ord(character):04x}" for character in value) + '"'
    return json.dumps(value, ensure_ascii=how == 0)


def has_twice(value: Any) -> bool:
    """Say whether a key stands twice in one object, at whatever depth."""
    if isinstance(value, tuple):
        return any(map(has_twice, value))
    if not isinstance(value, list):
        return False
    return len(dict(value)) < len(value) or any(has_twice(part) for _, part in value)


@given(st.lists(st.tuples(keys, objects), max_size=5), st.data())
def test_a_repeated_key_is_found_in_every_spelling(pairs: Pairs, draw: st.DataObject) -> None:
    body = written(pairs, draw).encode()
    assert (repeated_key(body, msgspec.json.encode(msgspec.json.decode(body))) is not None) == has_twice(
        pairs
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_sendable_content_is_read_back_and_other_content_raises_only_unreadable(data: dict[str, Any]) -> None:
    try:
        wire.check_sendable(data)
    except Unreadable as error:
        assert error.detail.isprintable()
        return
    assert wire.read_document(msgspec.json.encode(data)) == data
