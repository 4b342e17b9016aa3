"""The pictures of the documents agree with their sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.pictures import draw

PICTURES = Path(draw.__file__).parent
SOURCES = sorted(PICTURES.glob("*.txt"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_each_picture_is_drawn_from_its_text(source: Path) -> None:
    drawn = draw.svg(source.read_text(encoding="utf-8"))
    assert source.with_suffix(".svg").read_text(encoding="utf-8") == drawn


def test_every_picture_has_a_text_and_a_document_that_shows_it() -> None:
    shown = "".join(
        path.read_text(encoding="utf-8")
        for path in [*PICTURES.parent.rglob("*.md"), *PICTURES.parents[1].glob("*.md")]
    )
    assert {path.stem for path in PICTURES.glob("*.svg")} == {path.stem for path in SOURCES}
    assert [path.stem for path in SOURCES if f"pictures/{path.stem}.svg" not in shown] == []


def test_an_unknown_element_is_refused() -> None:
    with pytest.raises(ValueError, match="circle"):
        draw.svg("canvas 10 10 title\ncircle 1 2 3\n")
