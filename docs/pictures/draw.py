"""Draw the pictures of the documents: `python docs/pictures/draw.py` makes an SVG of each text beside it.

A text has one element per line; positions and sizes are pixels:

    canvas WIDTH HEIGHT title
    box    NAME X Y WIDTH HEIGHT KIND text|second line
    arrow  NAME.SIDE[+OFFSET] NAME.SIDE[+OFFSET] [@TURN]    side: l, r, t or b; offset from its middle;
                                                            turn: where an arrow turns, else half way
    text   X Y words
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

KINDS: Final = {
    "process": "#dbeafe",
    "topic": "#fef3c7",
    "store": "#dcfce7",
    "outside": "#f3f4f6",
    "bad": "#fee2e2",
    "frame": "none",
}
LINE_PX: Final = 17
FONT_PX: Final = 13
_arrow = re.compile(r"arrow\s+(\w+)\.([lrtb])([+-]\d+)?\s+(\w+)\.([lrtb])([+-]\d+)?(?:\s+@(\d+))?")


class Box(NamedTuple):
    """A box's place: its left upper corner and its size."""

    x: int
    y: int
    width: int
    height: int

    def end(self, side: str, offset: int) -> tuple[int, int]:
        """Return the point on a side, `offset` pixels right of or below its middle."""
        if side in "lr":
            return self.x + self.width * (side == "r"), self.y + self.height // 2 + offset
        return self.x + self.width // 2 + offset, self.y + self.height * (side == "b")


def svg(source: str) -> str:
    """Return the SVG of a picture's text."""
    boxes: dict[str, Box] = {}
    drawn: list[str] = []
    head = ""
    for line in source.splitlines():
        match line.split(maxsplit=1):
            case ["canvas", rest]:
                width, height, title = rest.split(maxsplit=2)
                head = _head(width, height, title)
            case ["box", rest]:
                name, x, y, width, height, kind, words = rest.split(maxsplit=6)
                boxes[name] = Box(int(x), int(y), int(width), int(height))
                drawn += _box(boxes[name], kind, words.split("|"))
            case ["arrow", _]:
                drawn.append(_arrow_of(boxes, line))
            case ["text", rest]:
                x, y, words = rest.split(maxsplit=2)
                drawn.append(_words(int(x), int(y), words, anchor="start"))
            case []:
                pass
            case other:
                raise ValueError(f"unknown element: {other}")
    return "\n".join([head, *drawn, "</svg>", ""])


def _head(width: str, height: str, title: str) -> str:
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" font-family="sans-serif" font-size="{FONT_PX}" role="img">',
            f"<title>{escape(title)}</title>",
            '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#374151"/></marker></defs>',
            f'<rect width="{width}" height="{height}" fill="white"/>',
        )
    )


def _box(box: Box, kind: str, lines: list[str]) -> list[str]:
    dashes = ' stroke-dasharray="6 4"' if kind == "frame" else ""
    shape = (
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="6" '
        f'fill="{KINDS[kind]}" stroke="#374151"{dashes}/>'
    )
    middle = box.x + box.width // 2
    if kind == "frame":
        return [shape, _words(box.x + 10, box.y + LINE_PX, lines[0], anchor="start")]
    top = box.y + box.height // 2 - (len(lines) - 1) * LINE_PX // 2 + 4
    return [shape, *(_words(middle, top + n * LINE_PX, words) for n, words in enumerate(lines))]


def _arrow_of(boxes: dict[str, Box], line: str) -> str:
    found = _arrow.fullmatch(line.strip())
    if found is None:
        raise ValueError(f"not an arrow: {line}")
    first, side, offset, second, other_side, other_offset, turn = found.groups()
    x1, y1 = boxes[first].end(side, int(offset or 0))
    x2, y2 = boxes[second].end(other_side, int(other_offset or 0))
    if side in "lr" and other_side in "lr":
        middle = int(turn or (x1 + x2) // 2)
        corners = [(middle, y1), (middle, y2)]
    elif side in "tb" and other_side in "tb":
        middle = int(turn or (y1 + y2) // 2)
        corners = [(x1, middle), (x2, middle)]
    else:
        corners = [(x2, y1) if side in "lr" else (x1, y2)]
    path = " ".join(f"{x},{y}" for x, y in [(x1, y1), *corners, (x2, y2)])
    return f'<polyline points="{path}" fill="none" stroke="#374151" marker-end="url(#head)"/>'


def _words(x: int, y: int, words: str, *, anchor: str = "middle") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="#111827">{escape(words)}</text>'


def main() -> None:
    """Write the SVG of each text in this folder."""
    for source in sorted(Path(__file__).parent.glob("*.txt")):
        source.with_suffix(".svg").write_text(svg(source.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
