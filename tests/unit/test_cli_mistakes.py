"""Error messages for ordinary mistakes, and tracebacks for bugs."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import asyncpg
import click
import pytest
from aiokafka.errors import KafkaConnectionError
from redis.exceptions import ConnectionError as RedisConnectionError

from ledger_streams.cli.mistakes import check_home, check_kafka, check_ports, error_message
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
def test_an_unavailable_server_is_reported_with_its_setting(error: Exception, setting: str) -> None:
    said = error_message(error)
    assert said is not None
    assert setting in said


def test_a_bug_keeps_its_traceback() -> None:
    for error in (ValueError("x"), KeyError("x"), InvariantBroken("x"), RuntimeError("x")):
        assert error_message(error) is None


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.ENOENT])
def test_an_unwritable_folder_is_reported_with_its_setting(code: int) -> None:
    said = error_message(OSError(code, "not there", str(settings().home / "run")))
    assert said is not None
    assert "; set LEDGER_HOME to a writable folder" in said
    said = error_message(OSError(code, "not there", str(Path.home() / ".cache" / "x")))
    assert said is not None
    assert "XDG_CACHE_HOME" in said


def test_a_port_in_use_is_reported_and_a_free_one_passes() -> None:
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


def test_an_impossible_home_and_an_unavailable_kafka_are_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(click.ClickException, match="LEDGER_HOME"):
        check_home(Settings(home=tmp_path / "file" / "x"))
    check_home(Settings(home=tmp_path / "new"))
    with pytest.raises(click.ClickException, match="set LEDGER_KAFKA"):
        check_kafka(Settings(kafka="127.0.0.1:1,[::1]:1,[::1]"))


def test_a_password_in_an_address_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("postgresql://ann:hidden@h/db", "postgresql://ann@h/db?password=hidden&sslmode=require"):
        monkeypatch.setenv("LEDGER_POSTGRES", url)
        said = error_message(asyncpg.InvalidPasswordError("no"))
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
def test_a_kafka_address_without_a_port_has_the_port_of_kafka_s_clients(
    text: str, reached: tuple[str, int]
) -> None:
    assert host_and_port(text) == reached


async def test_an_unavailable_kafka_without_a_port_is_reported_in_a_sentence() -> None:
    error = await unavailable("[::1]", KafkaConnectionError("no broker"))
    assert "no broker" in str(error)


def test_a_read_only_user_home_is_reported_or_avoided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").touch()  # nothing can be made below a file, whoever tries
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(Unavailable, match="set XDG_CACHE_HOME to a writable folder"):
        install.fetch_once(install.cache() / "thing", lambda _: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert install.fetch_once(install.cache() / "thing", lambda _: None).is_dir()
    assert install._repository() == [f"-Dmaven.repo.local={tmp_path}/cache/ledger-streams/maven"]
    monkeypatch.setenv("HOME", str(tmp_path / "own"))
    assert install._repository() == []
