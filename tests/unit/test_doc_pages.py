"""The documents: links and anchors resolve, README stays short, tables agree with the code."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README_BYTES_MAX = 8192
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
_fenced = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_link = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_code_span = re.compile(r"`[^`\n]*`")
_heading = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@cache
def prose(path: Path) -> str:
    """Return a document's text without its code blocks."""
    return _fenced.sub("", path.read_text(encoding="utf-8"))


@cache
def anchors(path: Path) -> frozenset[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    found: list[str] = []
    for heading in _heading.findall(prose(path)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
        found.append(f"{anchor}-{found.count(anchor)}" if anchor in found else anchor)
    return frozenset(found)


def broken_links(path: Path) -> list[str]:
    """Return the relative links of a document that lead to no file or no heading."""
    found = []
    for target in _link.findall(_code_span.sub("", prose(path))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            found.append(target)
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_a_heading(path: Path) -> None:
    assert broken_links(path) == []


def test_a_link_to_a_missing_file_or_heading_is_found(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(
        "# One\n[a](page.md#one) [b](page.md#two) [c](gone.md) [d](#one) [e](https://x.org/y)\n"
    )
    assert broken_links(document) == ["page.md#two", "gone.md"]


def test_the_readme_has_at_most_8_kb() -> None:
    assert (ROOT / "README.md").stat().st_size <= README_BYTES_MAX


def test_every_document_is_reached_from_the_readme() -> None:
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        names = [target.partition("#")[0] for target in _link.findall(prose(path)) if ":" not in target]
        linked = {(path.parent / name).resolve() for name in names if name.endswith(".md")}
        waiting += [each for each in linked - seen if each.exists()]
    assert [path for path in DOCUMENTS if path.is_relative_to(ROOT / "docs") and path not in seen] == []


def test_the_layers_in_the_overview_equal_the_checked_ones() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    text = (ROOT / "docs" / "architecture" / "overview.md").read_text(encoding="utf-8")
    _, _, after = text.partition("## Layers")
    lines = after.split("```")[1].strip().splitlines()
    assert [re.split(r" {2,}", line)[0] for line in lines] == [
        layer.replace("ledger_streams.", "") for layer in layers
    ]
