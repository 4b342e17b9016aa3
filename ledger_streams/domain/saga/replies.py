"""Repeated and late replies of a provider.

All attempts at one saga version carry one key, so one outcome answers them all.  A time-out
contradicts no outcome.  After the saga has given up, replies to that version no longer count.
"""

from __future__ import annotations

from typing import Final

from ledger_streams.domain.answers import ProviderApproved, ProviderDeclined, ProviderReply, ProviderTimedOut
from ledger_streams.domain.events import Reply
from ledger_streams.domain.saga.state import SUPERSEDED, Saga, is_its_money
from ledger_streams.domain.saga.transitions import NEXT

_FINAL: Final = (ProviderApproved.__name__, ProviderDeclined.__name__)
_SILENCE: Final = ProviderTimedOut.__name__


def is_repetition(saga: Saga, reply: Reply) -> bool:
    """Tell whether the saga has taken this reply before, or has given up waiting for it."""
    taken = saga.replies[max(reply.version - 2, 0) : max(reply.version - 1, 0)]
    if isinstance(reply, ProviderReply) and taken:
        ended_by = _ended_by(saga, reply.version)
        if ended_by == SUPERSEDED:
            return True
        known = (*_FINAL, _SILENCE) if isinstance(reply, ProviderTimedOut) else (type(reply).__name__,)
        answer = taken[0] if isinstance(reply, ProviderTimedOut) else ended_by
        return answer in known and is_its_money(saga, reply)
    return taken == (type(reply).__name__,) and is_its_money(saga, reply)


def answers_late(saga: Saga, reply: ProviderReply) -> bool:
    """Tell whether the reply is the awaited outcome and arrives after a time-out at its version.

    All attempts carry one key, so an answer to an earlier attempt answers all.
    """
    is_outcome = (saga.course, saga.status, type(reply)) in NEXT and not isinstance(reply, ProviderTimedOut)
    is_asked = reply.version < saga.version and _ended_by(saga, reply.version) is None
    return is_outcome and is_asked and is_its_money(saga, reply)


def _ended_by(saga: Saga, version: int) -> str | None:
    """Return the name of the final reply at `version`; None while attempts go on."""
    names = saga.replies[max(version - 2, 0) :]
    return next((name for name in names if name != _SILENCE), None)
