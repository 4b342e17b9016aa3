"""Payment: reading and checking a request, and recognising a repeated one."""

from __future__ import annotations

from typing import Any

import pytest

from ledger_streams.domain import payment
from ledger_streams.domain.events import SagaFailed, SagaStarted
from ledger_streams.domain.payment import (
    FINGERPRINT_INVALID,
    PaymentKnown,
    decide,
    decide_unreadable,
    evolve,
    fingerprint,
    impossible_reason,
    read_request,
)
from ledger_streams.domain.request import PaymentKind, PaymentRequest
from ledger_streams.errors import Unreadable
from tests.model.samples import (
    HOLD,
    PAYMENT,
    PROVIDERS,
    REFUND,
    SOURCE,
    TARGET,
    USER,
    content,
    deposit,
    refund,
    requested,
    withdrawal,
)

FINGERPRINT_OF_SAMPLE = "9b494058c917e4695671bd50c6490b71"
"""Kept in tables for ever: a change of it makes every known payment a mismatch."""


def test_a_transfer_is_read_with_both_wallets() -> None:
    read = read_request(content(user_id=USER))
    assert read == PaymentRequest(PAYMENT, PaymentKind.TRANSFER, 1025, "EUR", SOURCE, TARGET, None, USER)


def test_deposit_and_withdrawal_have_one_wallet_each() -> None:
    assert (read_request(deposit()).source_wallet_id, read_request(deposit()).target_wallet_id) == (
        None,
        TARGET,
    )
    assert (read_request(withdrawal()).source_wallet_id, read_request(withdrawal()).target_wallet_id) == (
        SOURCE,
        None,
    )


def test_a_deposit_or_withdrawal_may_name_a_provider() -> None:
    assert read_request(deposit(provider="acme")).provider == "acme"
    assert read_request(withdrawal(provider="acme")).provider == "acme"


def test_money_that_leaves_a_wallet_without_a_provider_may_come_out_of_a_hold() -> None:
    assert read_request(content(hold_id=HOLD)).hold_id == HOLD
    assert read_request(withdrawal(hold_id=HOLD)).hold_id == HOLD


def test_a_refund_names_a_payment_and_may_leave_out_how_much() -> None:
    part = PaymentRequest(REFUND, PaymentKind.REFUND, 400, "EUR", refund_of=PAYMENT)
    assert read_request(refund()) == part
    whole = PaymentRequest(REFUND, PaymentKind.REFUND, 0, "", refund_of=PAYMENT)
    assert read_request(refund(amount=None, currency=None)) == whole
    assert read_request({"payment_id": REFUND, "kind": "refund", "refund_of": PAYMENT}) == whole
    named = read_request(refund(amount=None, currency="USD"))
    assert (named.amount_minor, named.currency) == (0, "USD")


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (refund(refund_of=None), "refund_of"),
        (refund(refund_of="that one"), "refund_of"),
        (refund(currency=None), "currency"),
        (refund(amount=None, currency="EURO"), "currency"),
        (refund(amount="0"), "amount"),
        (refund(amount="4.001"), "amount"),
        (refund(source_wallet_id=SOURCE), "source_wallet_id"),
        (refund(target_wallet_id=TARGET), "target_wallet_id"),
        (refund(provider="acme"), "provider"),
        (refund(hold_id=HOLD), "hold_id"),
        (content(provider="acme"), "provider"),
        (content(refund_of=PAYMENT), "refund_of"),
        (content(hold_id="mine"), "hold_id"),
        (deposit(hold_id=HOLD), "hold_id"),
        (withdrawal(hold_id=HOLD, provider="acme"), "hold_id"),
    ],
)
def test_contradicting_fields_are_invalid_and_named(data: dict[str, Any], field: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_request(data)
    assert caught.value.detail.startswith(f"data.{field}: ")


@pytest.mark.parametrize("missing", ["provider", "user_id", "metadata"])
def test_optional_fields_may_be_omitted(missing: str) -> None:
    data = content()
    del data[missing]
    assert read_request(data) == read_request(content())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"payment_id": None}, "payment_id"),
        ({"payment_id": PAYMENT.upper()}, "payment_id"),
        ({"payment_id": 1}, "payment_id"),
        ({"kind": None}, "kind"),
        ({"kind": "gift"}, "kind"),
        ({"kind": "refund"}, "source_wallet_id"),
        ({"kind": ["transfer"]}, "kind"),
        ({"amount": 10.25}, "amount"),
        ({"amount": "10.251"}, "amount"),
        ({"currency": "EURO"}, "currency"),
        ({"currency": ["EUR"]}, "currency"),
        ({"source_wallet_id": None}, "source_wallet_id"),
        ({"source_wallet_id": "somebody"}, "source_wallet_id"),
        ({"target_wallet_id": None}, "target_wallet_id"),
        ({"kind": "deposit"}, "source_wallet_id"),
        ({"kind": "withdrawal"}, "target_wallet_id"),
        ({"provider": ""}, "provider"),
        ({"provider": "x" * 101}, "provider"),
        ({"provider": 5}, "provider"),
        ({"user_id": "me"}, "user_id"),
        ({"metadata": "text"}, "metadata"),
        ({"metadata": ["a"]}, "metadata"),
    ],
)
def test_content_against_the_contract_is_invalid_and_the_field_is_named(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(Unreadable) as caught:
        read_request(content(**changes))
    assert caught.value.reason == "invalid"
    assert caught.value.detail.startswith(f"data.{field}: ")
    with pytest.raises(Unreadable) as bare:
        read_request(content(**changes), at="")
    assert bare.value.detail.startswith(f"{field}: ")


@pytest.mark.parametrize("metadata", [[], "", 0, False])
def test_metadata_that_is_empty_but_no_object_is_invalid(metadata: object) -> None:
    with pytest.raises(Unreadable, match="metadata"):
        read_request(content(metadata=metadata))


def test_the_same_content_has_one_fingerprint_however_it_is_written() -> None:
    digest = fingerprint(content())
    short = {field: value for field, value in reversed(content(amount="10.250"[:5]).items()) if value}
    assert len(digest) == 32
    assert fingerprint(short) == digest
    assert fingerprint(content(amount="10.5")) == fingerprint(content(amount="10.50"))
    nested = content(metadata={"a": 1, "b": {"c": 2, "d": 3}})
    assert fingerprint(nested) == fingerprint(content(metadata={"b": {"d": 3, "c": 2}, "a": 1}))


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": "10.26"},
        {"currency": "USD"},
        {"target_wallet_id": USER},
        {"hold_id": HOLD},
        {"user_id": USER},
        {"metadata": {"note": "x"}},
        {"field_of_tomorrow": 1},
    ],
)
def test_other_content_has_another_fingerprint(changes: dict[str, Any]) -> None:
    assert fingerprint(content(**changes)) != fingerprint(content())


def test_a_refund_of_all_that_is_left_is_not_one_of_an_amount() -> None:
    whole = fingerprint(refund(amount=None, currency=None))
    assert whole != fingerprint(refund())
    assert whole == fingerprint({"payment_id": REFUND, "kind": "refund", "refund_of": PAYMENT})


def test_the_fingerprint_is_the_same_for_ever() -> None:
    assert fingerprint(content()) == FINGERPRINT_OF_SAMPLE


def test_a_payment_impossible_without_asking_a_wallet_is_recognised() -> None:
    assert impossible_reason(read_request(content()), PROVIDERS) is None
    assert impossible_reason(read_request(content(target_wallet_id=SOURCE)), PROVIDERS) == "same_wallet"
    for data in (deposit(provider="acme"), withdrawal(provider="acme"), refund()):
        assert impossible_reason(read_request(data), PROVIDERS) is None
    for data in (deposit(provider="nobody"), withdrawal(provider="nobody")):
        assert impossible_reason(read_request(data), PROVIDERS) == "provider_unavailable"


def test_a_repeated_payment_by_a_removed_provider_is_not_failed() -> None:
    by_acme = requested(deposit(provider="acme"))
    assert decide(evolve(None, by_acme), by_acme, providers=()) is None


def test_a_new_payment_starts_its_saga_with_the_content_as_it_came() -> None:
    event = decide(None, requested(), providers=PROVIDERS)
    assert isinstance(event, SagaStarted)
    assert (event.version, event.payment_id, event.data) == (1, PAYMENT, requested().data)


def test_an_impossible_payment_fails_before_it_starts() -> None:
    event = decide(None, requested(content(target_wallet_id=SOURCE)), providers=PROVIDERS)
    assert event == SagaFailed(PAYMENT, 1, "same_wallet")


def test_the_same_payment_again_is_ignored_and_stays_known_as_first() -> None:
    known = evolve(None, requested())
    assert decide(known, requested(), providers=PROVIDERS) is None
    assert evolve(known, requested(content(amount="1"))) == known


def test_other_content_under_a_known_id_is_a_mismatch() -> None:
    known = evolve(None, requested())
    with pytest.raises(Unreadable) as caught:
        decide(known, requested(content(amount="1")), providers=PROVIDERS)
    assert (caught.value.reason, caught.value.payment_id) == ("duplicate_mismatch", PAYMENT)


def test_an_unreadable_payment_fails_once_and_only_if_its_id_is_readable() -> None:
    error = Unreadable(reason="invalid", detail="data.amount: must be positive", payment_id=PAYMENT)
    failed = decide_unreadable(None, error)
    assert failed == SagaFailed(PAYMENT, 1, "invalid", detail="data.amount: must be positive")
    assert decide_unreadable(PaymentKnown(FINGERPRINT_INVALID), error) is None
    assert decide_unreadable(None, Unreadable(reason="invalid", detail="value: is not JSON")) is None


def test_an_invalid_payment_equals_no_other() -> None:
    with pytest.raises(Unreadable, match="duplicate_mismatch"):
        payment.decide(PaymentKnown(FINGERPRINT_INVALID), requested(), providers=PROVIDERS)
