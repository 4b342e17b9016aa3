"""Imports between the modules of all packages form no circle, type-checking and lazy imports included."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Set
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from ledger_streams.engine.app import EngineApp
from ledger_streams.engine.worker import Worker

PROJECT = Path(__file__).parents[2]
PACKAGES = ("ledger_streams", "agents", "tables", "web")

Graph = Mapping[str, Set[str]]
"""The modules that each module imports, by name; a package stands for its __init__."""


def modules(project: Path) -> dict[str, Path]:
    """Return the path of each module of the packages in `project`."""
    found = {}
    for path in (path for package in PACKAGES for path in (project / package).rglob("*.py")):
        parts = path.relative_to(project).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def import_graph(project: Path) -> Graph:
    """Return which module imports which, wherever in a file the import stands."""
    paths = modules(project)
    return {
        name: {target for target in imported(path.read_text(), paths.keys()) if target != name}
        for name, path in paths.items()
    }


def imported(source: str, known: Set[str]) -> Iterator[str]:
    """Yield the known modules that a source imports, all by their full names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None and not node.level, "an import is relative"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from names & known
            if names - known and node.module in known:
                yield node.module


def circle(graph: Graph) -> list[str]:
    """Return the modules of one circle, in order; empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = import_graph(PROJECT)
    assert len(graph) > 200
    assert circle(graph) == []


@pytest.mark.parametrize(
    "back",
    [
        "import agents.one",
        "from agents import one",
        "from agents.one import Name",
        "if TYPE_CHECKING:\n    from agents.one import Name",
        "def later():\n    from agents.one import Name",
    ],
)
def test_a_circle_is_found_wherever_the_import_stands(back: str, tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents/__init__.py").write_text("")
    (tmp_path / "agents/one.py").write_text("import agents.two\n")
    (tmp_path / "agents/two.py").write_text(back + "\n")
    assert set(circle(import_graph(tmp_path))) == {"agents.one", "agents.two"}


def as_its_parts_see_it(app: EngineApp) -> Worker:
    """Return the app; mypy compares its types with the protocol's."""
    return app
