"""Recipients: phone numbers as people write them, to E.164 digits without `+`.

A number of possible E.164 length is accepted as it is: whether it is assigned, Infobip knows better. Only national
numbers (no `+`, and the surface names a default country) go through a full parse, which costs some 30 us each.
"""

import re

import phonenumbers

_E164 = re.compile(r"[1-9][0-9]{6,14}")
_PUNCTUATION = re.compile(r"[\s().\-/\[\]\u00ad\u2010-\u2015\u2212\u200b-\u200f\u202a-\u202e\u2060-\u2069]+")
_BLANK = r"[\s\u200b-\u200f\u202a-\u202e\u2060-\u2069]+"
_AROUND = re.compile(f"^{_BLANK}|{_BLANK}$")
# What spreadsheets and programs make of a number; and, however it is written, a last group of one digit.
_DECIMAL = re.compile(r"\+?[0-9]+\.([0-9]{1,2}|0+)|\+?[0-9]{10,}\.[0-9]{3}|[^.]*\.[0-9]")
_EXPONENT = re.compile(r"[0-9,]+[eE]\+?[0-9]+")  # without its punctuation
_LONGEST_INPUT = 64
_LONGER_THAN_SHORT_CODES = 10


class BadRecipient(ValueError):
    """Not a phone number that can be sent to; the text says what to change and never repeats the number."""


class NoCountryCode(BadRecipient):
    """It begins as a national number."""


def has_form(text: str) -> bool:
    """Whether this is written as phone numbers are stored; a short code may be too, where it is long."""
    return _E164.fullmatch(text) is not None


def is_number(text: str) -> bool:
    """Whether this is a phone number in the form in which they are stored, and no short code or name."""
    if not has_form(text) or len(text) >= _LONGER_THAN_SHORT_CODES:
        return has_form(text)
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(f"+{text}"))
    except phonenumbers.NumberParseException:  # it begins with the code of no country
        return False


def normalise(to: str, default_country: str | None) -> str:
    """`+91 98765-43210` -> `919876543210`. `default_country` (ISO 3166 alpha-2) reads numbers that have no `+`.

    Errors: BadRecipient.
    """
    plain = to[1:] if to.startswith("+") else to
    if (default_country is None or plain is not to) and _E164.fullmatch(plain):
        return plain
    if len(to) > _LONGEST_INPUT:
        raise BadRecipient("is longer than any phone number: give one number alone, such as +14155550123")
    if "." in to:
        _refuse_decimal(to)
    compact = _PUNCTUATION.sub("", to)
    has_plus = compact.startswith("+")
    digits = _digits(compact[1:] if has_plus else compact)
    if not has_plus and default_country is not None:
        national = _national(digits, default_country)
        if national is not None:
            return national
    if not has_plus and digits.startswith("00"):
        return _international(digits[2:])
    return _international(digits)


def normalise_international(to: str) -> str:
    """The same where no surface is meant, and so no country. Errors: BadRecipient."""
    try:
        return normalise(to, None)
    except NoCountryCode as error:
        raise BadRecipient(
            "starts with 0 where a country code should stand: write it with its country code, such as +14155550123"
        ) from error


def _refuse_decimal(to: str) -> None:
    """Without its dot it would be somebody else's number."""
    if _DECIMAL.fullmatch(_AROUND.sub("", to)):
        raise BadRecipient("looks like a decimal number: format its column as text, so that it is digits alone")


def _digits(compact: str) -> str:
    if not compact:
        raise BadRecipient("is empty: give a phone number with its country code, such as +14155550123")
    if not (compact.isascii() and compact.isdigit()):
        if _EXPONENT.fullmatch(compact):
            raise BadRecipient(
                "looks like a number in exponent form, of which digits may be lost: format its column as text and "
                "fill it in anew"
            )
        if any(character.isalpha() for character in compact):
            raise BadRecipient("holds letters: give digits only, with the country code, such as +14155550123")
        raise BadRecipient("holds characters that no phone number has: give digits, with `+` only in front")
    return compact


def _international(digits: str) -> str:
    if digits.startswith("0") or not digits:
        raise NoCountryCode(
            "starts with 0 where a country code should stand: write it with `+` and the country code, "
            "or set default_country on the surface for national numbers"
        )
    if len(digits) < 7:
        raise BadRecipient(
            "is too short for a phone number with its country code (at least 7 digits): give the whole number, such as "
            "+14155550123"
        )
    if len(digits) > 15:
        raise BadRecipient(
            "is too long for a phone number with its country code (at most 15 digits): give one number alone, such as "
            "+14155550123"
        )
    return digits


def _national(digits: str, country: str) -> str | None:
    """E.164 digits, if this is a valid number as dialled in that country."""
    try:
        number = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")
