"""Money's algebra: printed amounts are read back, and sums of amounts are amounts of sums."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ledger_streams.domain.money import (
    AMOUNT_MINOR_MAX,
    CURRENCIES,
    format_amount,
    parse_amount,
    parse_balance,
    parse_limit,
    with_all_digits,
)
from ledger_streams.errors import Unreadable

currencies = st.sampled_from(sorted(CURRENCIES))
amounts = st.integers(1, AMOUNT_MINOR_MAX)
balances = st.integers(-(2**63), 2**63 - 1)


@given(amounts, currencies)
def test_an_amount_printed_is_read_back(minor: int, currency: str) -> None:
    assert parse_amount(format_amount(minor, currency), currency) == minor


@given(balances, currencies)
def test_a_balance_printed_is_read_back(minor: int, currency: str) -> None:
    assert parse_balance(format_amount(minor, currency), currency) == minor


@given(amounts, currencies)
def test_trailing_zeros_may_be_left_out(minor: int, currency: str) -> None:
    text = format_amount(minor, currency)
    short = text.rstrip("0").rstrip(".") if "." in text else text
    assert parse_amount(short, currency) == minor


@given(balances, currencies)
def test_the_sign_is_the_only_difference_of_opposites(minor: int, currency: str) -> None:
    assert format_amount(-abs(minor), currency).lstrip("-") == format_amount(abs(minor), currency)


@given(st.lists(amounts, max_size=20), currencies)
def test_the_sum_of_read_amounts_equals_the_read_sum(minors: list[int], currency: str) -> None:
    read = sum(parse_amount(format_amount(minor, currency), currency) for minor in minors)
    assert parse_balance(format_amount(read, currency), currency) == sum(minors)


@given(st.text() | st.from_regex(r"[0-9+\-.eE ]{0,12}"), currencies)
def test_any_text_is_an_amount_or_unreadable(text: str, currency: str) -> None:
    try:
        minor = parse_limit(text, currency, field="x")
    except Unreadable:
        return
    assert 0 <= minor <= AMOUNT_MINOR_MAX
    assert parse_limit(format_amount(minor, currency), currency, field="x") == minor


@given(amounts, currencies)
def test_all_digits_are_those_that_are_printed(minor: int, currency: str) -> None:
    text = format_amount(minor, currency)
    short = text.rstrip("0").rstrip(".") if "." in text else text
    assert with_all_digits(short, currency) == with_all_digits(text, currency) == text
