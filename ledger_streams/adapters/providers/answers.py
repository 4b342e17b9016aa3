"""Parsing of provider responses: HTTP status and body to an outcome or an error.

The outcome is the field `status` of a 200 with a JSON object.  Other texts are for display: a text
that an event cannot carry is sanitised, cut or dropped, and never changes the outcome.  A repeated
key makes the response ambiguous and the outcome unknown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Literal

from ledger_streams.errors import Unavailable
from ledger_streams.ports import ProviderAnswer, Unsettled
from ledger_streams.wire import storable_text

DETAIL_CHARACTERS_MAX: Final = 200
"""Length limit of a reference, a reason or an error; events keep them for ever."""

NOT_NOW: Final = frozenset({407, 408, 421, 425, 429})
"""4xx statuses by which a provider or its proxy refuses calls temporarily."""

Call = Literal["carry_out", "cancel"]
_OUTCOMES: Final[Mapping[Call, Mapping[str, Literal["approved", "declined", "cancelled"]]]] = {
    "carry_out": {"approved": "approved", "declined": "declined"},
    "cancel": {"cancelled": "cancelled"},
}
_DETAIL_OF: Final = {"approved": "reference", "declined": "reason"}


def is_answer(status: int) -> bool:
    """Tell whether a status is the provider's response to this call, so the provider is available.

    All else is a failure, which its breaker counts: redirections, errors of a server, and NOT_NOW.
    """
    return (200 <= status < 300 or 400 <= status < 500) and status not in NOT_NOW


def check_status(provider: str, path: str, status: int) -> None:
    """Raise Unsettled or Unavailable unless the status is 200, the only one with an outcome."""
    if status == HTTPStatus.OK:
        return
    if status == HTTPStatus.CONFLICT:
        detail = f"409, {path} is known with other content; settle the payment by hand"
        raise unsettled(provider, detail)
    raise (unsettled if is_answer(status) else unavailable)(provider, f"answered {status}")


def read_answer(provider: str, call: Call, body: bytes) -> ProviderAnswer:
    """Return the outcome that the body of a 200 tells; raises Unsettled or Unavailable."""
    said = _object(provider, call, body)
    status = said.get("status")
    outcome = _OUTCOMES[call].get(status) if isinstance(status, str) else None
    if outcome is None:
        raise unsettled(provider, f"its answer to {call} is unreadable: its status is unknown")
    return ProviderAnswer(outcome, _detail(said.get(_DETAIL_OF.get(outcome, ""))))


def unsettled(provider: str, detail: str) -> Unsettled:
    """Return the error for a response without an outcome."""
    return Unsettled(dependency=f"provider {provider}", detail=_storable(detail))


def unavailable(provider: str, detail: str) -> Unavailable:
    """Return the error for a call without a response."""
    return Unavailable(dependency=f"provider {provider}", detail=_storable(detail))


class _RepeatedKeyError(ValueError):
    """A key occurs twice in one object."""


def _object(provider: str, call: Call, body: bytes) -> Mapping[str, Any]:
    """Return the object in the body; bytes in a text that are not UTF-8, and control characters, pass."""
    text = body.decode("utf-8-sig", errors="replace")
    try:
        said = json.loads(text, object_pairs_hook=_once, parse_int=str, parse_float=str, strict=False)
    except _RepeatedKeyError as error:
        raise unsettled(provider, f"its answer to {call} is unreadable: a key occurs twice") from error
    except (ValueError, RecursionError) as error:
        raise unavailable(provider, f"its answer to {call} is unreadable: it is not JSON") from error
    if not isinstance(said, dict):
        raise unavailable(provider, f"its answer to {call} is unreadable: it is not a JSON object")
    return said


def _once(pairs: Sequence[tuple[str, Any]]) -> Mapping[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _RepeatedKeyError
    return fields


def _detail(text: object) -> str | None:
    """Return a text, or a number as it was written; None for anything else."""
    return _storable(text) if isinstance(text, str) else None


def _storable(text: str) -> str:
    return storable_text(text, characters_max=DETAIL_CHARACTERS_MAX)
