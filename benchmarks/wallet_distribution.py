"""Wallet distribution: how transfers choose their two wallets, and so the contention on a wallet.

`uniform`: all pairs are equally likely.  `zipf`: the wallet of rank r is chosen r to the
power of -s times as often as the first.  `hot`: the first wallet is in every payment.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from random import Random
from typing import Final

ZIPF_S: Final = 1.0
"""The exponent; with 2,000 wallets, the first one is in about a quarter of the payments."""

Pair = tuple[str, str]
Draw = Callable[[], Pair]
"""Source and target of the next transfer, never the same."""


def uniform(random: Random, wallets: Sequence[str]) -> Draw:
    """Draw two different wallets uniformly."""

    def draw() -> Pair:
        source, target = random.sample(wallets, 2)
        return source, target

    return draw


def zipf(random: Random, wallets: Sequence[str], s: float = ZIPF_S) -> Draw:
    """Draw two different wallets by Zipf's law of their rank."""
    up_to = list(accumulate((rank + 1) ** -s for rank in range(len(wallets))))

    def draw() -> Pair:
        source = target = _ranked(random, up_to)
        while target == source:
            target = _ranked(random, up_to)
        return wallets[source], wallets[target]

    return draw


def hot(random: Random, wallets: Sequence[str]) -> Draw:
    """Draw the first wallet and another one, in either direction."""
    first, others = wallets[0], wallets[1:]

    def draw() -> Pair:
        other = random.choice(others)
        return (first, other) if random.random() < 0.5 else (other, first)

    return draw


DISTRIBUTIONS: Final[Mapping[str, Callable[[Random, Sequence[str]], Draw]]] = {
    "uniform": uniform,
    "zipf": partial(zipf, s=ZIPF_S),
    "hot": hot,
}


def _ranked(random: Random, up_to: Sequence[float]) -> int:
    return min(bisect(up_to, random.random() * up_to[-1]), len(up_to) - 1)
