"""Settings with derived values: the providers, and the timeout of a transaction."""

from __future__ import annotations

import pytest

from ledger_streams.settings import Settings


def test_without_providers_there_are_none() -> None:
    assert Settings(providers="").provider_urls == {}


def test_providers_are_read_by_name() -> None:
    read = Settings(providers="acme=http://127.0.0.1:6200/, bank = https://pay.example/v2,").provider_urls
    assert read == {"acme": "http://127.0.0.1:6200", "bank": "https://pay.example/v2"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("acme", "'acme' must be name=url"),
        ("=http://127.0.0.1", "must have a name of 1 to 100 characters"),
        ("acme=127.0.0.1:6200", "must have a URL like"),
        ("acme=ftp://127.0.0.1", "must have a URL like"),
        ("acme=http://", "must have a URL like"),
        ("acme=http://a?b=c", "must have a URL like"),
        ("acme=http://a,acme=http://b", "names a provider twice"),
    ],
)
def test_unreadable_providers_are_refused_by_the_name_of_the_setting(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"LEDGER_PROVIDERS: .*{problem}"):
        Settings(providers=text)


@pytest.mark.parametrize(
    ("session_timeout_ms", "expected_ms"), [(30_000, 10_000), (6_000, 4_000), (2_000, 1_000)]
)
def test_a_dead_worker_s_transaction_ends_before_its_session(
    session_timeout_ms: int, expected_ms: int
) -> None:
    read = Settings(session_timeout_ms=session_timeout_ms, transaction_timeout_ms=10_000)
    assert read.dead_transaction_ms == expected_ms


@pytest.mark.parametrize("session_timeout_ms", range(15_000, 60_000, 1_000))
def test_a_session_of_15_s_outlasts_a_dead_worker_s_transaction_where_the_broker_looks_every_ten_seconds(
    session_timeout_ms: int,
) -> None:
    read = Settings(session_timeout_ms=session_timeout_ms, transaction_timeout_ms=60_000)
    assert read.dead_transaction_ms + 10_000 < session_timeout_ms
    assert read.dead_transaction_ms >= 4_000
