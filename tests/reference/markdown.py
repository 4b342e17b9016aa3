"""Markdown: the few forms that the reference pages use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

TITLES: Final = {
    "http": "HTTP",
    "cli": "Commands",
    "settings": "Settings",
    "metrics": "Metrics",
    "topics": "Topics",
    "events": "Events and commands",
    "reasons": "Statuses and reasons",
    "ports": "Ports",
    "postgres": "PostgreSQL",
}
"""The title of each page."""


def document(title: str, sources: str, intro: str, parts: Iterable[str]) -> str:
    """Return a page: a note that it is generated, title, introduction, parts, links to the others."""
    note = f"<!-- Generated from {sources} by `make reference`. Edit the code, not this page. -->"
    others = ", ".join(f"[{each}]({name}.md)" for name, each in TITLES.items() if each != title)
    return "\n\n".join([note, f"# {title}", intro, *filter(None, parts), f"More reference: {others}."]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; an empty text when it has no rows."""
    lines = [_row(cells) for cells in rows]
    return "\n".join([_row(head), _row(["---"] * len(head)), *lines]) if lines else ""


def code(text: object) -> str:
    """Return `text` as code; empty text stays empty."""
    return f"`{text}`" if str(text) else ""


def codes(values: Iterable[object]) -> str:
    """Return values as code, comma separated."""
    return ", ".join(code(value) for value in values)


def block(text: str, language: str = "") -> str:
    """Return a block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def anchor(heading: str) -> str:
    """Return the fragment that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def link(heading: str) -> str:
    """Return a link to a heading of the same page."""
    return f"[{heading}](#{anchor(heading)})"


def one_line(text: str | None) -> str:
    """Return text with its line breaks as spaces."""
    return " ".join((text or "").split())


def first_line(docstring: str | None) -> str:
    """Return the first paragraph of a docstring as one line."""
    return one_line((docstring or "").strip().partition("\n\n")[0])


def prose(text: str) -> str:
    """Return text as one line, with `<` outside of code escaped, which Markdown takes for HTML."""
    parts = re.split(r"(`[^`]*`)", one_line(text))
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(prose(cell).replace('|', chr(92) + '|') for cell in cells)} |"
