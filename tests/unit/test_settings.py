"""Settings that are more than a value: the providers."""

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
