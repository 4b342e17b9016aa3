"""Ordinary mistakes with each command: a sentence names the setting to change; exit 1 or 2, no traceback."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ledger_streams.settings import Settings
from tests.ports import free_ports

AWAY = {
    "LEDGER_KAFKA": "127.0.0.1:1",
    "LEDGER_POSTGRES": "postgresql://ledger:hush@127.0.0.1:1/ledger",
    "LEDGER_REDIS": "redis://127.0.0.1:1/0",
}
RUN_PORTS = 4
"""`run` and `demo` give each of their processes a port, from LEDGER_HTTP_PORT on."""
WALLET = "00000000-0000-0000-0000-000000000001"
NEED_SERVERS = (
    "worker", "api", "projector", "gateway", "topics check", "topics apply", "topics read payment-events",
    "db upgrade", "db size", "db top", "reconcile", "audit roots", "audit verify", "audit close",
    f"audit proof {WALLET}", "replay projections", "replay cache", "dlq list", "dlq show payment-events 0 0",
    "dlq redrive payment-events",
)  # fmt: skip
ALL = (*NEED_SERVERS, "run", "demo", "stack status", "sagas list", "tables", "archive list", "backup list")


async def said(tmp_path: Path, command: str, **environment: str) -> tuple[int, str]:
    """Run a command; return its exit code and all that it has printed."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ledger_streams", *command.split(),
        env={**os.environ, "LEDGER_HOME": str(tmp_path), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            output, _ = await running.communicate()
    finally:
        if running.returncode is None:
            running.kill()
    assert running.returncode is not None
    return running.returncode, output.decode()


async def each_said(tmp_path: Path, commands: tuple[str, ...], **environment: str) -> dict[str, str]:
    """Run commands, two at a time; return what each printed, having seen that it is a plain refusal."""
    two = asyncio.Semaphore(2)

    async def one(command: str) -> tuple[str, str]:
        async with two:
            code, text = await said(tmp_path, command, **environment)
        assert code in (1, 2), f"{command}: {code}, {text}"
        assert "Traceback" not in text, f"{command}: {text}"
        return command, text

    return dict(await asyncio.gather(*map(one, commands)))


@pytest.mark.slow
async def test_each_command_names_the_setting_of_an_unavailable_server(tmp_path: Path) -> None:
    for command, text in (await each_said(tmp_path, NEED_SERVERS, **AWAY)).items():
        assert any(name in text for name in AWAY), f"{command}: {text}"
        assert "hush" not in text


@pytest.mark.slow
async def test_each_command_refuses_a_setting_that_does_not_exist_and_one_of_the_wrong_type(
    tmp_path: Path,
) -> None:
    wrong = {"LEDGER_HTTPPORT": "6066", "LEDGER_DRAIN_S": "soon"}
    for command, text in (await each_said(tmp_path, ALL, **wrong)).items():
        assert "LEDGER_HTTPPORT is not a setting; the nearest one is LEDGER_HTTP_PORT" in text, command
        assert "LEDGER_DRAIN_S is 'soon'" in text, command


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


async def test_a_taken_port_is_named_by_worker_run_demo_and_simulator(
    tmp_path: Path, taken_port: int, stack: Settings
) -> None:
    environment = {"LEDGER_KAFKA": stack.kafka, "LEDGER_HTTP_PORT": str(taken_port)}
    commands = ("worker", "api", "run", "demo", "projector --with-web")
    for command, text in (await each_said(tmp_path, commands, **environment)).items():
        assert f"port {taken_port}" in text, command
        assert "LEDGER_HTTP_PORT" in text, command
    _, text = await said(tmp_path, f"provider-simulator --port {taken_port}")
    assert f"port {taken_port}" in text
    assert "--port" in text


async def test_a_folder_that_cannot_be_written_is_named_with_its_setting(
    tmp_path: Path, stack: Settings
) -> None:
    (tmp_path / "file").write_text("no folder")
    home = str(tmp_path / "file" / "home")
    commands = ("worker", "projector", "run", "demo", "stack up")
    environment = {"LEDGER_KAFKA": stack.kafka, "LEDGER_HTTP_PORT": str(free_ports(RUN_PORTS))}
    for command, text in (await each_said(tmp_path, commands, **environment, LEDGER_HOME=home)).items():
        assert home in text, command
        assert "LEDGER_HOME" in text, command


async def test_ctrl_c_ends_run_within_10_s_and_stack_down_warns_of_it(tmp_path: Path) -> None:
    environment = {**AWAY, "LEDGER_HTTP_PORT": str(free_ports(RUN_PORTS)), "LEDGER_HOME": str(tmp_path)}
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ledger_streams", "run", "--workers", "1", "--gateways", "0",
        env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        assert running.stdout is not None
        async with asyncio.timeout(60):
            assert b"started" in await running.stdout.readline()
        _, text = await said(tmp_path, "stack down", **environment)
        assert f"`ledger-streams run` (pid {running.pid}) loses its servers" in text
        running.send_signal(signal.SIGINT)
        async with asyncio.timeout(10):
            await running.communicate()
    finally:
        if running.returncode is None:
            running.kill()
    _, text = await said(tmp_path, "stack down", **environment)
    assert "loses its servers" not in text


async def test_an_interrupted_demo_exits_130(tmp_path: Path) -> None:
    """Its `stack up` waits for another one, which this test stands for."""
    first = free_ports(RUN_PORTS)
    (tmp_path / "stack").mkdir()
    with (tmp_path / "stack" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ledger_streams", "demo",
            env={**os.environ, "LEDGER_HOME": str(tmp_path), "LEDGER_HTTP_PORT": str(first), **AWAY},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            assert running.stdout is not None
            async with asyncio.timeout(60):
                printed = b""
                while b"Waiting for another" not in printed:
                    assert not running.stdout.at_eof(), printed.decode()
                    printed += await running.stdout.readline()
                os.killpg(running.pid, signal.SIGINT)  # as a terminal does
                await running.communicate()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == 130
