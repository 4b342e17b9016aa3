"""Money: valid and invalid amounts."""

from __future__ import annotations

from uuid import uuid4

import pytest
from iso4217 import Currency

from ledger_streams.domain.money import (
    AMOUNT_MINOR_MAX,
    BALANCE_MINOR_MAX,
    CURRENCIES,
    check_currency,
    format_amount,
    parse_amount,
    parse_balance,
    parse_limit,
)
from ledger_streams.errors import Unreadable


@pytest.mark.parametrize(
    ("text", "currency", "minor", "printed"),
    [
        ("10.25", "EUR", 1025, "10.25"),
        ("10.5", "EUR", 1050, "10.50"),
        ("10", "EUR", 1000, "10.00"),
        ("0.01", "EUR", 1, "0.01"),
        ("10", "JPY", 10, "10"),
        ("1.5", "BHD", 1500, "1.500"),
        ("0.0001", "CLF", 1, "0.0001"),
        ("10000000000000.00", "EUR", AMOUNT_MINOR_MAX, "10000000000000.00"),
    ],
)
def test_an_amount_is_read_as_minor_units_and_printed_with_all_digits(
    text: str, currency: str, minor: int, printed: str
) -> None:
    assert parse_amount(text, currency) == minor
    assert format_amount(minor, currency) == printed


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "0",
            "0.00",
            "-1",
            "+1",
            " 1",
            "1 ",
            "1\n",
            "1.",
            ".5",
            "01",
            "1e3",
            "1,5",
            "1.001",
            "0x1",
            "NaN",
        ),
        *("١", "1_0", "10000000000000.01", "9" * 40, 1, 1.5, True, None, [], {}),
    ],
)
def test_an_invalid_amount_is_refused_with_its_field(text: object) -> None:
    with pytest.raises(Unreadable, match=r"^invalid: data\.amount: ") as caught:
        parse_amount(text, "EUR")
    assert caught.value.reason == "invalid"


def test_a_currency_without_minor_unit_takes_no_fraction() -> None:
    with pytest.raises(Unreadable, match="has 1 digits after the point, JPY has 0"):
        parse_amount("10.0", "JPY")


def test_a_limit_may_be_zero_and_names_the_field_it_was_given() -> None:
    assert parse_limit("0", "EUR", field="limits.EUR") == 0
    with pytest.raises(Unreadable, match=r"limits\.EUR: "):
        parse_limit("-1", "EUR", field="limits.EUR")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("007", "leading zeros"),
        ("00.50", "leading zeros"),
        ("9" * 17, "more than 16 digits before the point"),
        ("9" * 5_000 + ".00", "more than 16 digits before the point"),
        ("", "an empty string"),
        ("-1", "a sign"),
        ("+1.50", "a sign"),
        ("1e2", "an exponent"),
        ("-1E-2", "an exponent"),
        ("1,50", "a separator, or a point without digits after it"),
        ("1 000.00", "a separator, or a point without digits after it"),
        ("1.", "a separator, or a point without digits after it"),
        ("NaN", "other characters"),
        (" 1", "other characters"),
    ],
)
def test_the_error_of_a_miswritten_amount_names_the_mistake(text: str, why: str) -> None:
    with pytest.raises(Unreadable, match=f"must be a decimal string such as 10.25, got {why}$"):
        parse_amount(text, "EUR")


@pytest.mark.parametrize("currency", ["eur", "EURO", "XAU", "XXX", "", None, 978])
def test_an_unknown_currency_is_invalid(currency: object) -> None:
    with pytest.raises(Unreadable, match=r"data\.currency: "):
        check_currency(currency)


def test_an_error_does_not_repeat_what_came_from_outside() -> None:
    secret = str(uuid4())
    with pytest.raises(Unreadable) as caught:
        parse_amount(secret, "EUR")
    assert secret not in caught.value.detail


@pytest.mark.parametrize("minor", [0, 1, -1, -105, 10**15, BALANCE_MINOR_MAX, 2**63 - 1, -(10**15)])
@pytest.mark.parametrize("currency", ["EUR", "JPY", "BHD", "CLF"])
def test_a_balance_of_any_sign_comes_back(minor: int, currency: str) -> None:
    assert parse_balance(format_amount(minor, currency), currency) == minor


def test_a_balance_below_zero_has_one_sign_in_front() -> None:
    assert format_amount(-105, "EUR") == "-1.05"
    assert format_amount(-5, "EUR") == "-0.05"


@pytest.mark.parametrize("text", ["1", "1.0", "1.000", "--1.00", "a.00", "", "1.0a"])
def test_text_in_a_form_that_the_system_does_not_print_is_no_balance(text: str) -> None:
    with pytest.raises(ValueError, match="not a balance"):
        parse_balance(text, "EUR")


def test_the_table_of_currencies_has_the_exceptions_of_iso_4217() -> None:
    assert len(CURRENCIES) > 150
    assert all(len(code) == 3 and code.isupper() for code in CURRENCIES)
    assert {CURRENCIES[code] for code in ("JPY", "KRW", "ISK", "XAF", "VND")} == {0}
    assert {CURRENCIES[code] for code in ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")} == {3}
    assert {CURRENCIES[code] for code in ("EUR", "USD", "CZK", "MGA", "MRU")} == {2}


def test_nine_thousand_of_the_largest_amounts_fit_a_bigint() -> None:
    assert 9_000 * AMOUNT_MINOR_MAX <= BALANCE_MINOR_MAX < 2**63


def test_the_currencies_and_their_digits_are_those_of_iso_4217() -> None:
    """Codes without a minor unit (metals, test codes) have no exponent and are left out."""
    official = {currency.code: currency.exponent for currency in Currency if currency.exponent is not None}
    assert dict(CURRENCIES) == official
