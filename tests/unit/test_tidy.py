"""House rules that a program can check.

Each rule lists what breaks it, so that a failure reads like a review.  An exception to
a rule stands here, beside its reason, and nowhere else.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.metrics import MetricWrapperBase

from ledger_streams import metrics, topics

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ledger_streams", "agents", "tables", "web")
TEXT = {
    ".py",
    ".md",
    ".sql",
    ".lua",
    ".toml",
    ".yaml",
    ".yml",
    ".xml",
    ".conf",
    ".properties",
    ".json",
    ".txt",
}

LINES_MAX = 400
LONGER_FILES = {"ledger_streams/metrics.py"}  # one closed list, which test_metrics_are_one_closed_list wants
FUNCTION_LINES_MAX = 40
LONGER_FUNCTIONS = {"test_follow_one_payment"}  # the tour of the system, told in one go
AGENT_BODY_LINES_MAX = 20
EXACT_FOLDERS = ("ledger_streams/domain", "agents", "tables")
"""Where money is, and a float would be wrong."""

TASKS_OF_THEIR_OWN = {
    "ledger_streams/background.py": "the one place",
    "ledger_streams/bounded_close.py": "awaited where it is started, for a bounded time",
    "ledger_streams/dataloader.py": "whatever goes wrong is told to all who asked",
    "ledger_streams/local/supervisor.py": "each is awaited where it is started",
    "ledger_streams/adapters/postgres/sink.py": "awaited in the same transaction",
    "ledger_streams/engine/consumer.py": "a cycle's step ends the process itself; the others wait for events",
    "ledger_streams/kafka/hanging_transaction_scan.py": "ends the process itself",
}
"""Modules that start tasks beside `ledger_streams.background`, and why nothing of them ends unseen."""

FORBIDDEN_WORDS = {"helper", "helpers", "util", "utils", "common"}
MACHINE_PATHS = re.compile(r"(?<![\w./~-])/(?:work|root)(?=[/\s'\"`),.;:]|$)", re.MULTILINE)
UNFINISHED = re.compile("|".join(("TO" + "DO", "FIX" + "ME")))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*folders: str) -> Iterator[tuple[str, Path]]:
    """Yield the Python files of the folders, named from the root."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path


def trees(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield the syntax trees of the folders' files."""
    for name, path in sources(*folders):
        yield name, ast.parse(path.read_text())


def functions(*folders: str) -> Iterator[tuple[str, Function]]:
    """Yield every function, named `file:line name`."""
    for name, tree in trees(*folders):
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield f"{name}:{node.lineno} {node.name}", node


def texts() -> Iterator[tuple[str, str]]:
    """Yield everything people read: code, documents, templates."""
    folders = (*PACKAGES, "tests", "benchmarks", "deploy", "docs")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in TEXT]
    top = [path for path in ROOT.iterdir() if path.suffix in TEXT or path.name in ("Makefile", "Dockerfile")]
    for path in sorted(paths + top):
        yield path.relative_to(ROOT).as_posix(), path.read_text()


def assert_none(found: Sequence[str], rule: str) -> None:
    """Fail with the rule and what breaks it."""
    assert not found, f"{rule}:\n  " + "\n  ".join(found)


def test_files_are_short() -> None:
    found = []
    for name, path in sources(*PACKAGES, "tests", "benchmarks"):
        lines = len(path.read_text().splitlines())
        if lines > LINES_MAX and name not in LONGER_FILES:
            found.append(f"{name}: {lines} lines, at most {LINES_MAX}")
    assert_none(found, "a file is one screen after another, not a book")


def test_functions_are_short() -> None:
    sizes = [(name, lines_of(node)) for name, node in functions(*PACKAGES, "tests", "benchmarks")]
    longer = [(name, lines) for name, lines in sizes if name.split()[1] not in LONGER_FUNCTIONS]
    found = [f"{name}: {lines} lines" for name, lines in longer if lines > FUNCTION_LINES_MAX]
    assert_none(found, f"a function has at most {FUNCTION_LINES_MAX} lines")


def test_agents_only_pass_on() -> None:
    sizes = [(name, body_lines_of(node)) for name, node in functions("agents")]
    found = [f"{name}: {lines} lines" for name, lines in sizes if lines > AGENT_BODY_LINES_MAX]
    assert_none(found, f"a body in agents has at most {AGENT_BODY_LINES_MAX} lines: the domain decides")


def test_public_names_are_documented() -> None:
    found = []
    for name, tree in trees(*PACKAGES):
        if tree.body and not ast.get_docstring(tree):
            found.append(name)
        for node in public(tree):
            if not ast.get_docstring(node):
                found.append(f"{name}:{node.lineno} {node.name}")
    assert_none(found, "modules, public classes and public functions say what they are")


def test_no_error_is_swallowed() -> None:
    found = []
    for name, tree in trees(*PACKAGES, "tests", "benchmarks"):
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and (node.type is None or is_idle(node.body)):
                found.append(f"{name}:{node.lineno}")
    assert_none(found, "an error is answered, parked, retried or fatal, never passed over")


def test_background_tasks_are_started_in_one_place() -> None:
    found = {
        f"{name}:{node.lineno}": name
        for name, tree in trees(*PACKAGES)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and starts_a_task(node.func)
    }
    elsewhere = [place for place, name in found.items() if name not in TASKS_OF_THEIR_OWN]
    assert_none(elsewhere, "a task is started by ledger_streams.background, which sees it fail")
    assert_none(sorted(TASKS_OF_THEIR_OWN.keys() - found.values()), "an exception that is none any more")


def test_no_todo_is_left() -> None:
    found = [f"{name}: {match[0]}" for name, text in texts() for match in UNFINISHED.finditer(text)]
    assert_none(found, "what is not done is not mentioned in the code")


def test_money_is_never_a_float() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, tree in trees(*EXACT_FOLDERS)
        for node in ast.walk(tree)
        if isinstance(node, ast.expr) and is_float(node)
    ]
    assert_none(found, "money is an integer of minor units")


def test_names_are_specific() -> None:
    modules = [name for name, _ in sources(*PACKAGES) if is_vague(Path(name).stem)]
    named = [name for name, node in functions(*PACKAGES) if is_vague(node.name)]
    assert_none(modules + named, f"names avoid {', '.join(sorted(FORBIDDEN_WORDS))}")


def test_no_file_names_this_machine() -> None:
    found = [f"{name}: {match[0]}" for name, text in texts() for match in MACHINE_PATHS.finditer(text)]
    assert_none(found, "paths come from settings or from the file's own place")


def test_tests_use_twins_and_the_real_thing_but_no_mocks() -> None:
    found = [
        name
        for name, path in sources("tests")
        if re.search(r"unittest.mock|monkeypatch\.setattr", path.read_text())
    ]
    assert_none([name for name in found if name != "tests/unit/test_tidy.py"], "nothing is patched")


def test_metrics_are_one_closed_list() -> None:
    ours = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    names = {str(next(iter(metric.describe())).name) for metric in ours}
    assert_none(
        [name for name in sorted(names) if not name.startswith("ledger_")], "metrics begin with ledger_"
    )
    made = re.compile(r"^from prometheus_client import .*\b(Counter|Gauge|Histogram|Summary)\b", re.MULTILINE)
    elsewhere = [name for name, path in sources(*PACKAGES) if made.search(path.read_text())]
    assert elsewhere == ["ledger_streams/metrics.py"]


def test_kafka_s_connection_is_configured_in_one_place() -> None:
    """A client that is made with an address alone would have neither TLS nor SASL."""
    address = re.compile(r"bootstrap_servers|\b(?:settings|config)(?:\(\))?\.kafka\b")
    found = [name for name, path in sources(*PACKAGES) if address.search(path.read_text())]
    allowed = {
        "ledger_streams/kafka/client_options.py",
        "ledger_streams/engine/app.py",  # Faust's URL; its clients get the options from client_transport
        "ledger_streams/local/stack/kafka.py",  # the ports of the brokers that it starts
        "ledger_streams/cli/mistakes.py",  # looks whether something listens there
        "ledger_streams/rights.py",  # prints the address in a command for people
    }
    assert_none([name for name in found if name not in allowed], "client_options says how Kafka is reached")
    client = re.compile(r"AIOKafka(?:Client|AdminClient|Consumer|Producer)\(\s*(?!\*\*options|\s|\)|_)")
    found = [name for name, path in sources(*PACKAGES) if any(client.finditer(made_in(path)))]
    assert_none(found, "a client of Kafka begins with **options(..)")


def test_an_agent_s_docstring_begins_with_its_way() -> None:
    known = {topic.name for topic in topics.TOPICS}
    found = []
    for name, tree in trees("agents"):
        agents = [node for node in tree.body if isinstance(node, Function) and is_agent(node)]
        for node in (tree, *agents) if agents else ():
            way = (ast.get_docstring(node) or "").splitlines()[0].rstrip(".").split(" -> ")
            if len(way) < 2 or not set(way[0].split(", ")) <= known:
                found.append(f"{name}: {' -> '.join(way)}")
    assert_none(found, "an agent's docstring begins with `topic -> table -> topic`")


def made_in(path: Path) -> str:
    """Return a file's text without its class definitions' lines."""
    return re.sub(r"^class .*$", "", path.read_text(), flags=re.MULTILINE)


def lines_of(node: Function) -> int:
    """Count a function's lines, decorators aside."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def body_lines_of(node: Function) -> int:
    """Count the lines of a function's body, its docstring aside."""
    statements = node.body[1:] if ast.get_docstring(node) else node.body
    return (statements[-1].end_lineno or 0) - statements[0].lineno + 1 if statements else 0


def public(tree: ast.Module) -> Iterator[Function | ast.ClassDef]:
    """Yield the public classes and functions of a module, and the public methods of public classes."""
    definitions: Callable[[Any], list[Any]] = lambda owner: [  # noqa: E731
        node
        for node in owner.body
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
    ]
    for node in definitions(tree):
        yield node
        if isinstance(node, ast.ClassDef):
            yield from definitions(node)


def is_agent(node: Function) -> bool:
    """Say whether a function is decorated with `<app>.agent(...)`."""
    calls = [decorator.func for decorator in node.decorator_list if isinstance(decorator, ast.Call)]
    return any(isinstance(call, ast.Attribute) and call.attr == "agent" for call in calls)


def starts_a_task(called: ast.expr) -> bool:
    """Say whether this starts a task that may fail unseen; a TaskGroup tells of what fails in it."""
    if not isinstance(called, ast.Attribute) or not isinstance(called.value, ast.Name):
        return False
    starts = {("asyncio", "create_task"), ("asyncio", "ensure_future"), ("loop", "create_task")}
    return (called.value.id, called.attr) in starts or called.attr in (
        "add_future",
        "run_coroutine_threadsafe",
    )


def is_float(node: ast.expr) -> bool:
    """Say whether an expression is a call of `float`, or a literal of its kind."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "float"
    return isinstance(node, ast.Constant) and isinstance(node.value, float)


def is_idle(body: Sequence[ast.stmt]) -> bool:
    """Say whether a block does nothing."""
    return all(
        isinstance(statement, ast.Pass)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in body
    )


def is_vague(name: str) -> bool:
    """Say whether a name has one of the forbidden words."""
    return bool(FORBIDDEN_WORDS & set(name.lower().strip("_").split("_")))
