"""Every command has a help text, and printing it imports neither Faust nor a driver."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ledger_streams.cli import FAUST_COMMANDS, OWN_COMMANDS, is_for_faust

WITHIN = [
    ("stack", "up"),
    ("stack", "down"),
    ("stack", "status"),
    ("topics", "apply"),
    ("topics", "check"),
    ("db", "upgrade"),
    ("db", "roles"),
    ("audit", "roots"),
    ("audit", "verify"),
    ("audit", "proof"),
    ("audit", "check-proof"),
    ("archive", "now"),
    ("archive", "list"),
    ("archive", "verify"),
    ("archive", "attach"),
    ("db", "tune"),
    ("db", "top"),
    ("db", "size"),
    ("backup", "now"),
    ("backup", "list"),
    ("backup", "check"),
    ("wallets", "show"),
    ("wallets", "list"),
    ("wallets", "reopen"),
    ("payments", "show"),
    ("payments", "list"),
    ("dlq", "list"),
    ("dlq", "show"),
    ("dlq", "redrive"),
    ("replay", "projections"),
    ("replay", "tables"),
    ("replay", "cache"),
]
COMMANDS = [(name,) for name in (*OWN_COMMANDS, *FAUST_COMMANDS)] + WITHIN
MAIN = "from ledger_streams.cli import main; main()"
FORKS = """
import json, os, sys
import aiohttp, aiokafka, asyncpg, click, faust.cli, msgspec, pydantic_settings, redis.asyncio, rich.table
for command in json.load(sys.stdin):
    name = os.path.join(sys.argv[1], " ".join(command))
    if pid := os.fork():
        with open(name + ".code", "w") as file:
            file.write(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
        continue
    for number in (1, 2):
        os.dup2(os.open(f"{name}.{number}", os.O_WRONLY | os.O_CREAT), number)
    sys.argv[1:] = [*command, "--help"]
    from ledger_streams.cli import main
    sys.exit(main())
"""


def ask(*arguments: str, code: str = MAIN) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the help of all commands, each asked of a process of its own.

    The processes are forks of one that has imported what others have written, and nothing of ours.
    """
    folder = tmp_path_factory.mktemp("help")
    subprocess.run(
        [sys.executable, "-c", FORKS, str(folder)], input=json.dumps(COMMANDS), text=True, check=True
    )
    return folder


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_explains_itself(explained: Path, command: tuple[str, ...]) -> None:
    code, out, err = ((explained / f"{' '.join(command)}.{what}").read_text() for what in ("code", "1", "2"))
    assert (code, err) == ("0", "")
    assert out.startswith(f"Usage: ledger-streams {' '.join(command)} ")


def test_the_overview_names_every_command_and_imports_neither_faust_nor_a_driver() -> None:
    told = "import sys; print([m for m in ('faust', 'aiokafka', 'asyncpg', 'pydantic') if m in sys.modules])"
    asked = ask("--help", code=f"import atexit; atexit.register(lambda: exec({told!r}, {{}})); {MAIN}")
    assert asked.stdout.endswith("[]\n")
    for name in (*OWN_COMMANDS, *FAUST_COMMANDS):
        assert f"  {name} " in asked.stdout


def test_faust_s_options_before_a_command_reach_faust() -> None:
    asked = ask("--json", "agents", "--help")
    assert asked.returncode == 0
    assert "List agents" in asked.stdout


@pytest.mark.parametrize(
    "option", ["--web-port", "--without-web", "--loglevel", "--console-port", "--web-bind"]
)
def test_worker_and_projector_have_the_options_of_a_faust_worker(explained: Path, option: str) -> None:
    for command in ("worker", "projector"):
        assert option in (explained / f"{command}.1").read_text()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], False),
        (["--help"], False),
        (["--version"], False),
        (["import", "x"], False),
        (["worker"], True),
        (["--json", "agents"], True),
        (["-q", "import", "x"], True),
    ],
)
def test_arguments_go_to_our_root_or_to_faust_s(arguments: list[str], expected: bool) -> None:
    assert is_for_faust(arguments) is expected


def test_an_unknown_command_is_an_error_of_usage() -> None:
    asked = ask("no-such-command")
    assert asked.returncode == 2
    assert "No such command" in asked.stderr


def test_a_settlement_without_a_reason_is_an_error_of_usage() -> None:
    asked = ask("sagas", "settle", "4ae1f559-ee5c-5076-ba59-1ab5386f97ef", "declined", "--reason", " ")
    assert asked.returncode == 2
    assert "--reason: must not be blank" in asked.stderr
