"""Money: an integer count of minor units in one currency.

This module uses neither floats nor `Decimal`: it parses a decimal string once, at the edge, and
formats with all digits of the currency.
An amount is positive; a limit may be zero; a balance may be negative.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from ledger_streams.domain.reasons import Reason
from ledger_streams.errors import Unreadable

AMOUNT_MINOR_MAX: Final = 10**15
"""Upper bound of any single amount; fits a BIGINT after 9,000 such additions."""

BALANCE_MINOR_MAX: Final = 9 * 10**18
"""A wallet refuses credits beyond it; the rest of a BIGINT is for compensations, never refused."""

_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_TWO_DIGITS = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF
IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK
MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP
SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG
YER ZAR ZMW ZWG
"""
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DIGITS = "CLF UYW"

CURRENCIES: Final[Mapping[str, int]] = MappingProxyType(
    {
        code: digits
        for digits, codes in ((0, _NO_DIGITS), (2, _TWO_DIGITS), (3, _THREE_DIGITS), (4, _FOUR_DIGITS))
        for code in codes.split()
    }
)
"""Active ISO 4217 codes and the digits of their minor unit; codes without one (metals) are left out."""

_decimal = re.compile(r"(0|[1-9][0-9]{0,15})(?:\.([0-9]+))?").fullmatch
_MISWRITTEN: Final = (
    (re.compile(r""), "an empty string"),
    (re.compile(r"[+-][0-9][0-9.]*"), "a sign"),
    (re.compile(r"[+-]?[0-9][0-9.]*[eE][+-]?[0-9]+"), "an exponent"),
    (re.compile(r"[+-]?[0-9][0-9., _\u00a0\u202f']*"), "a separator, or a point without digits after it"),
)
"""Forms of an amount that is no decimal string, in the order they are tried; each text is bounded before."""
_CHARACTERS_MAX: Final = 100
_plain_digits = re.compile(r"[0-9]+(?:\.[0-9]+)?").fullmatch
_UNIT: Final = (1, 10, 100, 1_000, 10_000)
DECIMAL_STRING: Final = "must be a decimal string such as 10.25"
"""Without sign, exponent, separators or leading zeros."""


def check_currency(currency: object, *, field: str = "data.currency") -> str:
    """Return the currency when it is a known code, else raise Unreadable naming `field`."""
    if isinstance(currency, str) and currency in CURRENCIES:
        return currency
    raise invalid(field, f"must be an ISO 4217 currency code such as EUR, got {_shape(currency)}")


def parse_amount(text: object, currency: str, *, field: str = "data.amount") -> int:
    """Read a positive decimal string as minor units; `currency` must be known.

    No sign, exponent, space or leading zero; at most the currency's digits.
    """
    amount_minor = parse_limit(text, currency, field=field)
    if amount_minor == 0:
        raise invalid(field, "must be positive")
    return amount_minor


def parse_limit(text: object, currency: str, *, field: str) -> int:
    """Read a decimal string that may be zero as minor units; `currency` must be known."""
    if not isinstance(text, str):
        raise invalid(field, f"{DECIMAL_STRING}, got {_shape(text)}")
    return _minor(text, currency, field)


@lru_cache(maxsize=8_192)
def _minor(text: str, currency: str, field: str) -> int:
    """Parse and cache: a payment's amount is parsed six times.  Only valid, so short, texts are cached."""
    match = _decimal(text)
    if match is None:
        raise invalid(field, f"{DECIMAL_STRING}, got {_miswritten(text)}")
    whole, fraction = match.groups(default="")
    digits = CURRENCIES[currency]
    if len(fraction) > digits:
        raise invalid(field, f"has {len(fraction)} digits after the point, {currency} has {digits}")
    minor = int(whole + fraction) * _UNIT[digits - len(fraction)]
    if minor > AMOUNT_MINOR_MAX:
        raise invalid(
            field, f"is above the maximum of {format_amount(AMOUNT_MINOR_MAX, currency)} {currency}"
        )
    return minor


def with_all_digits(text: str, currency: str) -> str:
    """Return a valid amount with all digits of its currency."""
    digits = CURRENCIES[currency]
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction:0<{digits}}" if digits else whole


@lru_cache(maxsize=8_192)
def parse_balance(text: str, currency: str) -> int:
    """Read an output of `format_amount`, of any sign and size, as minor units; for our own records."""
    digits = CURRENCIES[currency]
    negative = text.startswith("-")
    whole, point, fraction = (text[1:] if negative else text).partition(".")
    if len(fraction) != digits or bool(point) != bool(digits) or not (whole + fraction).isdecimal():
        raise ValueError(f"not a balance in {currency}")
    minor = int(whole + fraction)
    return -minor if negative else minor


@lru_cache(maxsize=8_192)
def format_amount(minor: int, currency: str) -> str:
    """Print minor units as a decimal string with all of the currency's digits: 1025 EUR is "10.25".

    Cached, since a payment's amount is formatted nine times.
    """
    if minor < 0:
        return "-" + format_amount(-minor, currency)
    digits = CURRENCIES[currency]
    if digits == 2:
        text = f"{minor:03d}"
        return f"{text[:-2]}.{text[-2:]}"
    if digits == 0:
        return str(minor)
    whole, fraction = divmod(minor, _UNIT[digits])
    return f"{whole}.{fraction:0{digits}d}"


def invalid(field: str, problem: str) -> Unreadable:
    """Return the error that `field` breaks the contract; the caller raises it."""
    return Unreadable(reason=Reason.INVALID, detail=f"{field}: {problem}")


def _miswritten(text: str) -> str:
    """Return the mistake in a string that is not an amount, without repeating the string."""
    if _plain_digits(text):
        return "leading zeros" if text[0] == "0" else "more than 16 digits before the point"
    start = text[:_CHARACTERS_MAX]
    return next((mistake for form, mistake in _MISWRITTEN if form.fullmatch(start)), "other characters")


def _shape(value: object) -> str:
    """Return the JSON type of an input value, without repeating the value."""
    match value:
        case None:
            return "null or no value"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "another string"
        case _:
            return "an object or a list"
