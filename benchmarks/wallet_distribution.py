"""Spread: which two wallets a transfer is between, and so how many payments meet in one wallet.

`uniform`: any two are as likely.  `zipf`: the wallet of rank r takes part r to the power of
-s as often as the first.  `hot`: every payment takes from or gives to the first wallet.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from random import Random
from typing import Final

ZIPF_S: Final = 1.0
"""The exponent; of 2,000 wallets the first is then in one payment of four or so."""

Pair = tuple[str, str]
Draw = Callable[[], Pair]
"""Source and target of the next transfer, never the same."""


def uniform(random: Random, wallets: Sequence[str]) -> Draw:
    """Draw any two."""

    def draw() -> Pair:
        source, target = random.sample(wallets, 2)
        return source, target

    return draw


def zipf(random: Random, wallets: Sequence[str], s: float = ZIPF_S) -> Draw:
    """Draw by rank: the first wallet most often."""
    up_to = list(accumulate((rank + 1) ** -s for rank in range(len(wallets))))

    def draw() -> Pair:
        source = target = _ranked(random, up_to)
        while target == source:
            target = _ranked(random, up_to)
        return wallets[source], wallets[target]

    return draw


def hot(random: Random, wallets: Sequence[str]) -> Draw:
    """Draw the first wallet and any other, one way or the other."""
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
