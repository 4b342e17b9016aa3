"""Faults: what goes wrong with a call, drawn from the seed, the key and the call's number.

Nothing else enters the draw, neither time nor the order of calls of different keys, so
a run can be repeated; and each call of a key draws anew, so a retry gets through in the
end.  Whether a key is declined is drawn once, for ever: an answer does not change.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256


class Fault(StrEnum):
    """What becomes of one call."""

    NONE = "none"
    LATE_ANSWER = "late_answer"
    """Carried out at once, answered too late."""
    LATE_ACTION = "late_action"
    """Carried out when the caller has long given up, and may have cancelled."""
    ERROR = "error"
    """503, and nothing was done."""
    LOST_ERROR = "lost_error"
    """Carried out, and answered with 503."""
    LOST_CONNECTION = "lost_connection"
    """Carried out, and the connection cut."""
    DOUBLE = "double"
    """Carried out twice."""


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How often what goes wrong: shares of the calls, from 0 to 1; `decline_share` is one of the keys.

    Where slow, error and lost are 1 in sum, no answer ever gets through.
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
            raise ValueError("the shares of slow, error, lost and double are above 1 in sum")

    def fault(self, key: str, call: str, number: int) -> Fault:
        """Return what becomes of the `number`-th call of its kind (`carry_out`, `cancel`) for the key."""
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
        """Say whether the provider declines the key's order."""
        return self._draw(key, "decline", 0) < self.decline_share

    def _draw(self, key: str, what: str, number: int) -> float:
        """Draw from [0, 1), evenly."""
        digest = sha256(f"{self.seed}:{key}:{what}:{number}".encode()).digest()
        return int.from_bytes(digest[:6]) / 2**48
