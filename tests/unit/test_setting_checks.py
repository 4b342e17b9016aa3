"""Settings of the wrong type or unknown: refused in a sentence that names the setting and what is allowed."""

from __future__ import annotations

import pytest

from ledger_streams.errors import Rejected
from ledger_streams.setting_checks import unknown_names
from ledger_streams.settings import Settings, settings


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("LEDGER_HTTPPORT", "LEDGER_HTTP_PORT"),
        ("LEDGER_HTTP_PROT", "LEDGER_HTTP_PORT"),
        ("ledger_postgress", "LEDGER_POSTGRES"),
        ("LEDGER_KAFKA_", "LEDGER_KAFKA"),
        ("LEDGER_WORKERID", "LEDGER_WORKER_ID"),
        ("LEDGER_LOGLEVEL", "LEDGER_LOG_LEVEL"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_name(name: str, nearest: str) -> None:
    (said,) = unknown_names({name: "x", "PATH": "y"}, Settings.model_fields)
    assert said == f"{name} is not a setting; the nearest one is {nearest}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEDGER_DATA", "x"),
        ("LEDGER_URL", "x"),
        ("LEDGER_FILE", "x"),
        ("ledger_home", "x"),
        ("LEDGER_SERVICE_HOST", "10.0.0.1"),
        ("LEDGER_PORT", "tcp://10.0.0.1:80"),
        ("LEDGER_API_PORT_6066_TCP_PROTO", "tcp"),
        ("LEDGER_API_SERVICE_PORT_HTTP", "6066"),
        ("LEDGERS", "x"),
    ],
)
def test_names_of_settings_tests_and_other_tools_are_left_alone(name: str, value: str) -> None:
    assert unknown_names({name: value}, Settings.model_fields) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HTTP_PORT", "abc", "'abc', which must be a valid integer"),
        ("HTTP_PORT", "0", "greater than or equal to 1"),
        ("HTTP_PORT", "65536", "less than or equal to 65535"),
        ("DRAIN_S", "soon", "'soon', which must be a valid number"),
        ("STANDBY", "maybe", "a valid boolean"),
        ("LOG_LEVEL", "loud", "must be one of CRIT"),
        ("POSTGRES", "nonsense", "must be a URL like postgresql://"),
        ("POSTGRES", "http://host/x", "must be a URL like postgresql://"),
        ("POSTGRES", "postgresql://u:secret@host:port/x", "must be a URL like postgresql://"),
        ("REDIS", "127.0.0.1:6379", "must be a URL like redis://"),
        ("REDIS", "redis://[::1/0", "must be a URL like redis://"),
        ("KAFKA", "", "must be host:port"),
        ("KAFKA", "a:1,,b:2", "must be host:port"),
        ("KAFKA", "a:99999", "must be host:port"),
        ("KAFKA", "PLAINTEXT://a:9092", "must be host:port"),
        ("PGBOUNCER", "host", "must be host:port"),
        ("WORKER_ID", "../other", "must be 1 to 100 of A-Z"),
        ("WORKER_ID", "", "must be 1 to 100 of A-Z"),
        ("APP_ID", "two words", "must be 1 to 100 of A-Z"),
        ("TOPIC_PREFIX", "größe-", "must be at most 100 of A-Z"),
        ("POSTGRES_MEMORY", "many", "must be a size like 32GB"),
        ("POSTGRES_MEMORY", "1KB", "must be a size like 32GB"),
        ("DRAIN_S", "inf", "must be a finite number"),
        ("BREAKER_OPEN_S", "nan", "must be a finite number"),
        ("PROVIDERS", "acme", "must be name=url"),
    ],
)
def test_a_setting_of_the_wrong_type_is_named_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"LEDGER_{name}", value)
    with pytest.raises(Rejected) as raised:
        settings()
    text = str(raised.value)
    assert f"LEDGER_{name}" in text
    assert said in text
    assert "secret" not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA", "a:9092, b.example:9093,[::1]:9094"),
        ("KAFKA", "kafka"),
        ("POSTGRES", "postgresql://u:p%40w@h1:5432,h2:5433/db?sslmode=require"),
        ("POSTGRES", "postgres:///db?host=/var/run/postgresql"),
        ("REDIS", "rediss://:p@host:6379/1"),
        ("REDIS", "unix:///run/redis.sock"),
        ("PGBOUNCER", ""),
        ("LOG_LEVEL", "debug"),
        ("WORKER_ID", "ledger-0.pod_7"),
        ("TOPIC_PREFIX", "_b.2-"),
    ],
)
def test_every_address_that_drivers_can_read_is_accepted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"LEDGER_{name}", value)
    assert getattr(Settings(), name.lower()) == value


def test_settings_that_contradict_each_other_are_refused_without_a_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LEDGER_POSTGRES", "postgresql://ann:hidden@h/db")
    monkeypatch.setenv("LEDGER_KAFKA_SECURITY", "sasl_ssl")
    monkeypatch.setenv("LEDGER_KAFKA_SASL_MECHANISM", "OAUTHBEARER")
    with pytest.raises(Rejected, match=r"^OAUTHBEARER needs either") as raised:
        settings()
    assert "hidden" not in str(raised.value)
