"""Sentences for what goes wrong outside, and none for faults of the program."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import asyncpg
import click
import pytest
from aiokafka.errors import KafkaConnectionError
from redis.exceptions import ConnectionError as RedisConnectionError

from ledger_streams.cli.mistakes import check_home, check_kafka, check_ports, sentence
from ledger_streams.errors import InvariantBroken, Unavailable
from ledger_streams.kafka.client_options import unavailable
from ledger_streams.local.stack import install
from ledger_streams.setting_checks import host_and_port
from ledger_streams.settings import Settings, settings


@pytest.mark.parametrize(
    ("error", "setting"),
    [
        (KafkaConnectionError("gone"), "LEDGER_KAFKA"),
        (asyncpg.InvalidPasswordError("no"), "LEDGER_POSTGRES"),
        (asyncpg.UndefinedTableError("events"), "LEDGER_POSTGRES"),
        (RedisConnectionError("gone"), "LEDGER_REDIS"),
        (Unavailable(dependency="kafka", detail="gone"), "LEDGER_KAFKA"),
    ],
)
def test_a_server_that_is_away_is_said_with_its_setting(error: Exception, setting: str) -> None:
    said = sentence(error)
    assert said is not None
    assert setting in said


def test_a_fault_of_the_program_keeps_its_traceback() -> None:
    for error in (ValueError("x"), KeyError("x"), InvariantBroken("x"), RuntimeError("x")):
        assert sentence(error) is None


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.ENOENT])
def test_a_folder_that_cannot_be_reached_is_said_with_its_setting(code: int) -> None:
    said = sentence(OSError(code, "not there", str(settings().home / "run")))
    assert said is not None
    assert "; set LEDGER_HOME to a folder" in said
    said = sentence(OSError(code, "not there", str(Path.home() / ".cache" / "x")))
    assert said is not None
    assert "XDG_CACHE_HOME" in said


def test_a_taken_port_is_said_and_a_free_one_passes() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        with pytest.raises(click.ClickException, match=f"port {port} of 127.0.0.1, for worker-1, is taken"):
            check_ports("127.0.0.1", {port: "worker-1"})
    check_ports("127.0.0.1", {port: "worker-1"})
    with pytest.raises(click.ClickException, match="set LEDGER_HTTP_PORT lower"):
        check_ports("127.0.0.1", {65_536: "worker-2"})
    with pytest.raises(click.ClickException, match="set LEDGER_HTTP_HOST"):
        check_ports("192.0.2.1", {port: "worker-1"})


def test_a_home_below_a_file_is_said_and_a_kafka_that_is_away_too(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(click.ClickException, match="LEDGER_HOME"):
        check_home(Settings(home=tmp_path / "file" / "x"))
    check_home(Settings(home=tmp_path / "new"))
    with pytest.raises(click.ClickException, match="set LEDGER_KAFKA"):
        check_kafka(Settings(kafka="127.0.0.1:1,[::1]:1,[::1]"))


def test_a_password_in_an_address_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("postgresql://ann:hidden@h/db", "postgresql://ann@h/db?password=hidden&sslmode=require"):
        monkeypatch.setenv("LEDGER_POSTGRES", url)
        said = sentence(asyncpg.InvalidPasswordError("no"))
        assert said is not None
        assert "ann" in said
        assert "hidden" not in said


@pytest.mark.parametrize(
    ("text", "reached"),
    [
        ("kafka", ("kafka", 9_092)),
        (" a:1 ", ("a", 1)),
        ("[::1]:9094", ("::1", 9_094)),
        ("[::1]", ("::1", 9_092)),
    ],
)
def test_an_address_of_kafka_without_a_port_is_read_as_its_clients_read_it(
    text: str, reached: tuple[str, int]
) -> None:
    assert host_and_port(text) == reached


async def test_a_kafka_that_is_away_at_an_address_without_a_port_is_said_in_a_sentence() -> None:
    error = await unavailable("[::1]", KafkaConnectionError("no broker"))
    assert "no broker" in str(error)


def test_a_home_of_the_user_that_is_read_only_is_said_or_gone_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").touch()  # nothing can be made below a file, whoever tries
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(Unavailable, match="set XDG_CACHE_HOME to a folder that can be"):
        install.fetched(install.cache() / "thing", lambda _: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert install.fetched(install.cache() / "thing", lambda _: None).is_dir()
    assert install._repository() == [f"-Dmaven.repo.local={tmp_path}/cache/ledger-streams/maven"]
    monkeypatch.setenv("HOME", str(tmp_path / "own"))
    assert install._repository() == []
