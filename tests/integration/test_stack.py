"""The local stack: repeated starts, killed servers, stops, and wrong settings."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger_streams.errors import Unavailable
from ledger_streams.local.stack import ServerStatus, daemon, down, status, up
from ledger_streams.settings import Settings
from tests.conftest import KAFKA_PORT, ROOT, stack_settings
from tests.ports import free_port, free_ports
from tests.stacks import remove_stack

DIES_SOON = str(shutil.which("sleep"))
STATUS = "from ledger_streams.cli.stack import stack; stack(['status', '--json'])"


@pytest.fixture(scope="module")
def second() -> Iterator[Settings]:
    """A stack beside the tests' own, stopped at first; below .ledger, which PostgreSQL's user can reach."""
    home = ROOT / ".ledger" / f"second-{uuid.uuid4().hex[:8]}"
    yield stack_settings(
        home=home,
        kafka=f"127.0.0.1:{free_ports(2)}",
        postgres=f"postgresql://ledger@127.0.0.1:{free_port()}/ledger",
        pgbouncer=f"127.0.0.1:{free_port()}",
        redis=f"redis://127.0.0.1:{free_port()}/0",
    )
    data = (home / "stack" / "postgres" / "data").resolve()
    remove_stack(home)
    assert not data.parent.exists(), "nothing is left of it, below .ledger or elsewhere"


def pids(servers: list[ServerStatus]) -> dict[str, int | None]:
    return {server.name: server.pid for server in servers}


def test_up_on_a_running_stack_starts_nothing(stack: Settings) -> None:
    before = pids(status(stack))
    said: list[str] = []
    up(stack, say=said.append)
    assert pids(status(stack)) == before
    assert None not in before.values()
    assert sum("already running" in line for line in said) == len(before)


def test_status_as_json_names_every_server_and_its_address(stack: Settings) -> None:
    environment = os.environ | {
        "LEDGER_HOME": str(stack.home),
        "LEDGER_KAFKA": stack.kafka,
        "LEDGER_POSTGRES": stack.postgres,
        "LEDGER_REDIS": stack.redis,
    }
    command = [sys.executable, "-c", STATUS]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    servers = {server["name"]: server for server in json.loads(done.stdout)}
    assert set(servers) == {"kafka-1", "postgres", "redis"}
    assert all(server["healthy"] for server in servers.values())
    assert servers["kafka-1"]["address"] == stack.kafka


@pytest.mark.slow
def test_a_stack_lives_beside_another_survives_kills_and_stops(second: Settings) -> None:
    say: list[str] = []
    try:
        with ThreadPoolExecutor(2) as pool:  # two at once: the second waits and finds everything running
            list(pool.map(lambda _: up(second, say=say.append), range(2)))
        first = pids(status(second))
        assert sum("started" in line for line in say) == len(first)

        for pid in first.values():
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        dying = next(Path(server.folder) for server in status(second) if server.name == "redis")
        daemon.wait_for_end(dying, patience_s=10)
        daemon.start(dying, [DIES_SOON, "1"])
        up(second, say=say.append)
        healed = status(second)
        assert all(server.healthy for server in healed)
        assert not set(pids(healed).values()) & set(first.values())
    finally:
        down(second, say=say.append)
    assert set(pids(status(second)).values()) == {None}
    assert sum("stopped" in line for line in say) == len(first), say


@pytest.mark.slow
def test_down_on_a_stopped_stack_says_so(second: Settings) -> None:
    said: list[str] = []
    down(second, say=said.append)
    assert all("not running" in line for line in said), said


def test_a_pid_that_another_process_has_now_is_not_taken_for_a_server(
    stack: Settings, tmp_path: Path
) -> None:
    other = stack.model_copy(update={"home": tmp_path})
    folder = tmp_path / "stack" / "redis"
    folder.mkdir(parents=True)
    (folder / "pid").write_text(f"{os.getpid()} 1 another-boot\n")
    assert next(server for server in status(other) if server.name == "redis").pid is None


def test_a_port_that_another_process_has_is_an_error(stack: Settings, tmp_path: Path) -> None:
    other = stack.model_copy(update={"home": tmp_path})
    with pytest.raises(Unavailable, match=rf"port {KAFKA_PORT} of 127\.0\.0\.1 is used by another process"):
        up(other, say=lambda _: None)


def test_an_address_elsewhere_is_refused(stack: Settings, tmp_path: Path) -> None:
    other = stack.model_copy(update={"home": tmp_path, "redis": "redis://cache.example:6379/0"})
    with pytest.raises(Unavailable, match=r"redis .* got address redis://cache\.example"):
        up(other, say=lambda _: None)
