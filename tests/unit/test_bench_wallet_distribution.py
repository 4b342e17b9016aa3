"""Distributions of transfers over wallets: pairs and frequencies."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from benchmarks.wallet_distribution import DISTRIBUTIONS, Draw, zipf

WALLETS = [f"wallet {number}" for number in range(100)]
DRAWS = 20_000


def parts(draw: Draw) -> Counter[str]:
    """Count how often each wallet takes part."""
    return Counter(wallet for _ in range(DRAWS) for wallet in draw())


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_transfer_has_two_different_wallets(name: str) -> None:
    draw = DISTRIBUTIONS[name](Random(1), WALLETS[:3])
    assert all(source != target for source, target in (draw() for _ in range(1_000)))


def test_a_uniform_draw_takes_every_wallet_about_as_often() -> None:
    counts = parts(DISTRIBUTIONS["uniform"](Random(1), WALLETS))
    assert len(counts) == len(WALLETS)
    assert max(counts.values()) < 1.3 * min(counts.values())


def test_a_hot_wallet_is_in_every_payment_on_both_sides() -> None:
    draw = DISTRIBUTIONS["hot"](Random(1), WALLETS)
    pairs = [draw() for _ in range(DRAWS)]
    assert all(WALLETS[0] in pair for pair in pairs)
    pays = sum(source == WALLETS[0] for source, _ in pairs)
    assert 0.47 < pays / DRAWS < 0.53


def test_by_zipf_a_source_is_as_likely_as_its_rank_says() -> None:
    draw = zipf(Random(1), WALLETS, 1.0)
    sources = Counter(draw()[0] for _ in range(DRAWS))
    harmonic = sum(1 / rank for rank in range(1, len(WALLETS) + 1))
    for rank in (1, 2, 4, 10):
        assert sources[WALLETS[rank - 1]] == pytest.approx(DRAWS / rank / harmonic, rel=0.15)


def test_the_same_seed_draws_the_same() -> None:
    draws = [[DISTRIBUTIONS["zipf"](Random(3), WALLETS)() for _ in range(5)] for _ in range(2)]
    assert draws[0] == draws[1]
