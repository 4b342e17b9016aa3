"""Private parts of aiokafka (underscore names, internal modules) are used in ledger_streams/kafka only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ledger_streams", "agents", "tables", "web")
HOME = ROOT / "ledger_streams" / "kafka"
PUBLIC = ("aiokafka", "aiokafka.abc", "aiokafka.admin", "aiokafka.errors", "aiokafka.structs")
"""The modules that aiokafka documents; `aiokafka.admin` with the modules in it."""
NOT_AIOKAFKA = {
    "_fetcher": "Faust's app has a fetcher too, which its table manager starts and stops",
    "_fields": "named tuples and aiohttp's forms have it",
    "_replace": "a method of named tuples",
}


def _private_names() -> set[str]:
    """Return the underscore names that aiokafka's classes and modules define, dunders excepted."""
    spec = find_spec("aiokafka")
    assert spec is not None
    assert spec.origin is not None
    names: set[str] = set()
    for path in Path(spec.origin).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


PRIVATE = _private_names() - NOT_AIOKAFKA.keys()


def private_uses(source: str) -> Iterator[str]:
    """Yield the uses of aiokafka's private names, but on `self`, and the imports of its internal modules."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in PRIVATE and not _is_own(node.value):
            yield f"{node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.ImportFrom) and node.level == 0 and _is_internal(node.module or ""):
            yield f"{node.lineno}: {node.module}"
        elif isinstance(node, ast.Import):
            yield from (f"{node.lineno}: {a.name}" for a in node.names if _is_internal(a.name))


def _is_own(value: ast.expr) -> bool:
    """Tell whether it is the object itself: what a class of ours names with an underscore is its own."""
    is_super = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "super"
    return is_super or (isinstance(value, ast.Name) and value.id in {"self", "cls"})


def _is_internal(module: str) -> bool:
    is_of_aiokafka = module == "aiokafka" or module.startswith("aiokafka.")
    return is_of_aiokafka and module not in PUBLIC and not module.startswith("aiokafka.admin.")


def test_private_parts_of_aiokafka_are_used_in_the_kafka_package_only() -> None:
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    outside = [path for path in paths if HOME not in path.parents]
    assert len(outside) > 100
    assert [
        f"{path.relative_to(ROOT)}:{use}" for path in outside for use in private_uses(path.read_text())
    ] == []


@pytest.mark.parametrize(
    "source",
    [
        "consumer._client.set_topics(topics)",
        "self._consumer._coordinator._group_instance_id = None",
        "manager = producer._txn_manager",
        "from aiokafka.client import AIOKafkaClient",
        "import aiokafka.producer.sender",
    ],
)
def test_a_private_part_is_found(source: str) -> None:
    assert list(private_uses(source))


@pytest.mark.parametrize(
    "source", ["self._client = None", "from aiokafka.errors import KafkaError", "row._asdict()"]
)
def test_other_names_are_not_taken_for_private_parts(source: str) -> None:
    assert not list(private_uses(source))
