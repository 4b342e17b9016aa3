"""Saga replies: what one is worth that comes again, or later than another at its version.

A provider is asked under one key each time, so its outcome is one to all attempts of a
question; silence contradicts nothing; and what was given up is another question.
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
    """Tell whether this very reply has been taken before, or is one that tells nothing any more."""
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
    """Tell whether the reply is the outcome awaited, and comes after a time-out was taken at its version.

    It is asked under one key each time, so an answer to an earlier attempt is one to all.
    """
    is_outcome = (saga.course, saga.status, type(reply)) in NEXT and not isinstance(reply, ProviderTimedOut)
    is_asked = reply.version < saga.version and _ended_by(saga, reply.version) is None
    return is_outcome and is_asked and is_its_money(saga, reply)


def _ended_by(saga: Saga, version: int) -> str | None:
    """Return the name of what ended the question asked at `version`; None while it is asked again."""
    names = saga.replies[max(version - 2, 0) :]
    return next((name for name in names if name != _SILENCE), None)
