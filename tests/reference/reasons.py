"""The page of reasons and statuses: the meaning of each value, and the caller's options."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.request import PaymentKind
from ledger_streams.domain.statuses import PaymentStatus
from ledger_streams.domain.wallet import WalletStatus
from ledger_streams.kafka.redrive import LETTER_HEADERS
from tests.reference.markdown import code, document, one_line, table
from tests.reference.source import attribute_docs
from web.http.problems import STATUS_OF_REASON

INTRO: Final = """\
These lists are closed: a new value is a change of the contract. They are the same in events, in answers
over HTTP and in PostgreSQL."""
REASONS: Final = """\
A reason says why a payment failed, a wallet refused a command, the API refused a request, or a record
went to the dead letters. `HTTP` is the status of a request that is refused for this reason. A payment
that fails later has its reason in its `reason` field, and its answer has status 200."""
LETTERS: Final = f"""\
The header `{LETTER_HEADERS}reason` of a [dead letter](topics.md#dead-letters) is one of the table above,
and `{LETTER_HEADERS}detail` says what is wrong in words. `ledger-streams dlq list` shows them, the metric
`ledger_dead_letters_total` counts them by topic and reason, and `ledger-streams dlq redrive` sends them
back."""


def page() -> str:
    """Return the page."""
    return document(
        "Statuses and reasons",
        "`ledger_streams/domain` and `web/http/problems.py`",
        INTRO,
        [
            "## Statuses of a payment",
            _values(PaymentStatus, "status"),
            "## Reasons",
            REASONS,
            _reasons(),
            "## Dead letters",
            LETTERS,
            "## Kinds of a payment",
            _values(PaymentKind, "kind"),
            "## Statuses of a wallet",
            _values(WalletStatus, "status"),
        ],
    )


def _values(values: type[StrEnum], head: str) -> str:
    """Return a table of an enum: the value, and the text below it."""
    texts = {value: meaning_and_advice(values, value) for value in values}
    if not any(advice for _, advice in texts.values()):
        return table([head, "meaning"], [[code(value), meaning] for value, (meaning, _) in texts.items()])
    rows = [[code(value), *text] for value, text in texts.items()]
    return table([head, "meaning", "what the caller can do"], rows)


def _reasons() -> str:
    head = ["reason", "HTTP", "meaning", "what the caller can do"]
    rows = [[code(each), str(STATUS_OF_REASON[each]), *meaning_and_advice(Reason, each)] for each in Reason]
    return table(head, rows)


def meaning_and_advice(values: type[StrEnum], value: StrEnum) -> tuple[str, str]:
    """Return the first paragraph of the text below a value, and the rest of it."""
    meaning, _, advice = attribute_docs(values).get(value.name, "").partition("\n\n")
    return one_line(meaning), one_line(advice)
