"""Ids: derived as UUIDv5, canonical as text."""

from __future__ import annotations

from uuid import uuid5

import pytest

from ledger_streams.domain.ids import NS, derived_id, is_canonical_id


def test_the_namespace_is_the_contracts() -> None:
    assert str(NS) == "4ae1f559-ee5c-5076-ba59-1ab5386f97ef"


@pytest.mark.parametrize("number", range(200))
def test_a_derived_id_is_the_uuid5_of_the_text(number: int) -> None:
    text = f"ünïcode:{number}:" + "x" * number
    assert derived_id(text) == str(uuid5(NS, text))
    assert is_canonical_id(derived_id(text))


@pytest.mark.parametrize(
    "text",
    [
        "4AE1F559-EE5C-5076-BA59-1AB5386F97EF",
        "{4ae1f559-ee5c-5076-ba59-1ab5386f97ef}",
        "4ae1f559ee5c5076ba591ab5386f97ef",
        "4ae1f559-ee5c-5076-ba59-1ab5386f97ef\n",
        "urn:uuid:4ae1f559-ee5c-5076-ba59-1ab5386f97ef",
        "4ae1f559-ee5c-5076-ba59-1ab5386f97eg",
        "٤ae1f559-ee5c-5076-ba59-1ab5386f97ef",
        "",
        None,
        7,
    ],
)
def test_any_other_spelling_is_not_canonical(text: object) -> None:
    assert not is_canonical_id(text)
