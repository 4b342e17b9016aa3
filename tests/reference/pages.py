"""Pages: every reference page by its name in docs/reference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.reference import cli, events, http, metrics, ports, reasons, settings, topics

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "reference"

PAGES: Final[dict[str, Callable[[], str]]] = {
    "http": http.page,
    "cli": cli.page,
    "settings": settings.page,
    "metrics": metrics.page,
    "topics": topics.page,
    "events": events.page,
    "reasons": reasons.page,
    "ports": ports.page,
}
"""The text of each page that needs nothing but the code; `postgres` needs a database too."""


def checked_in(name: str) -> str:
    """Return the page as it stands in docs/reference; empty if there is none."""
    path = FOLDER / f"{name}.md"
    return path.read_text(encoding="utf-8") if path.is_file() else ""
