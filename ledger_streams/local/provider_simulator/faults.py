"""Faults of calls, drawn from the seed, the key and the call's number.

The draw depends on nothing else (neither time nor the order of calls of other keys), so a
run can be repeated.  Each call of a key draws anew, so a retry succeeds in the end.  A
decline is drawn once per key: the answer never changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256


class Fault(StrEnum):
    """The fault of one call."""

    NONE = "none"
    LATE_ANSWER = "late_answer"
    """Executed at once, answered too late."""
    LATE_ACTION = "late_action"
    """Executed after the caller has given up, and may have cancelled."""
    ERROR = "error"
    """Not executed, answered with 503."""
    LOST_ERROR = "lost_error"
    """Executed, answered with 503."""
    LOST_CONNECTION = "lost_connection"
    """Executed, connection closed without a response."""
    DOUBLE = "double"
    """Executed twice."""


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """Frequencies of faults: shares of calls from 0 to 1; `decline_share` is a share of keys.

    If slow, error and lost add up to 1, no call ever succeeds.
    """

    seed: int = 1
    latency_ms: float = 20.0
    slow_ms: float = 8_000.0
    slow_share: float = 0.0
    decline_share: float = 0.0
    error_share: float = 0.0
    lost_share: float = 0.0
    double_share: float = 0.0

    def __post_init__(self) -> None:
        shares = self.slow_share + self.error_share + self.lost_share + self.double_share
        if round(shares, 9) > 1:
            raise ValueError(
                f"the shares of slow, error, lost and double must add up to at most 1, got {shares:g}"
            )

    def fault(self, key: str, call: str, number: int) -> Fault:
        """Return the fault of the `number`-th call of this kind (`carry_out`, `cancel`) for the key."""
        drawn = self._draw(key, call, number)
        for share, faults in (
            (self.slow_share, (Fault.LATE_ANSWER, Fault.LATE_ACTION)),
            (self.error_share, (Fault.ERROR, Fault.ERROR)),
            (self.lost_share, (Fault.LOST_ERROR, Fault.LOST_CONNECTION)),
            (self.double_share, (Fault.DOUBLE, Fault.DOUBLE)),
        ):
            if drawn < share:
                return faults[drawn >= share / 2]
            drawn -= share
        return Fault.NONE

    def declines(self, key: str) -> bool:
        """Return whether the provider declines the key's order."""
        return self._draw(key, "decline", 0) < self.decline_share

    def _draw(self, key: str, what: str, number: int) -> float:
        """Draw uniformly from [0, 1)."""
        digest = sha256(f"{self.seed}:{key}:{what}:{number}".encode()).digest()
        return int.from_bytes(digest[:6]) / 2**48
