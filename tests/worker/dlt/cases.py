"""Texts held against India DLT templates. In a text that does not fit, ▲ stands before the first character that fits
no way; it is no part of the text. Values have at most 30 characters."""

from typing import NamedTuple

from worker.dlt.faults import DltFault

MOST = 30
MARK = "▲"
NOT_MATCHED = DltFault.TEMPLATE_NOT_MATCHED
TOO_LONG = DltFault.VARIABLE_TOO_LONG
OFF_THE_LIST = DltFault.LINK_NOT_ALLOWED

OTP = "{#var#} is your OTP for login to Acme Bank. Don't share it with anyone - ACMEBK"
BANK = "Rs.{#var#} debited from A/c {#var#} on {#var#}. Avl bal Rs.{#var#} - ACMEBK"
DELIVERY = "Dear {#var#},\nYour order {#var#} is out for delivery."
PROMO = "Flat 50% off at Acme! Use code {#var#} till {#var#}. T&C apply"
HINDI = "प्रिय {#var#}, आपका ओटीपी {#var#} है। - ACMEBK"
TAMIL = "அன்புள்ள {#var#}, உங்கள் ஆர்டர் {#var#} அனுப்பப்பட்டது."
CRLF = "Dear {#var#}\r\nThank you"
LINK = "Track: {#url#} - ACME"
ONE_WAY = "Pay {#var#} now"
# What is a link within a text, at the mark, and what is none.
LINKS = (
    "▲evil.dev",
    "▲evil.ai, now",
    "(▲evil.zip)",
    "▲EVIL.AI",
    "▲shorturl.at",
    "▲xn--e.xn--p1ai",
    "▲1.2.3.4",
    "▲1.2.3.4/x",
    "▲1.2.3.4:80/x",
    "▲evil.dev:80",
    "▲evil.qq/x",
    "▲ftp://evil.dev",
    "▲app://open/x",
    "a:▲http://evil/x",
    "है:▲http://evil/x",
    "▲user@evil.in/x",
    "▲http://me:x@evil.in",
    "acme.in,▲evil.dev",
    "http://acme.in,▲http://evil.in",
)
NO_LINKS = (
    "Rs.500",
    "Rs.five",
    "No.of items",
    "a.m. or p.m.",
    "w.e.f. today",
    "e.g.this",
    "St.Mary",
    "Mr.RAO",
    "done.Please",
    "wait...what",
    "version 1.2",
    "v1.2.3",
    "1.2.3.4.5",
    "300.1.1.1",
    "24.11.2026",
    "10.30am",
    "bill.pdf",
    "me@evil.dev",
    "me@evil.in?",
    "and/or.that",
    "12://34",
    "http://",
    "आशा.जी",
)
SPACED = "Visit us {#var#} {#var#} today"


class Fitting(NamedTuple):
    template: str
    text: str
    values: tuple[str, ...]
    allow_list: tuple[str, ...] = ()


class Misfitting(NamedTuple):
    template: str
    marked: str
    fault: DltFault
    said: str  # within the sentence
    allow_list: tuple[str, ...] = ()


FITS = [
    Fitting(OTP, "482913 is your OTP for login to Acme Bank. Don't share it with anyone - ACMEBK", ("482913",)),
    Fitting(
        BANK,
        "Rs.1,250.00 debited from A/c XX1234 on 03-02-26. Avl bal Rs.9.5 - ACMEBK",
        ("1,250.00", "XX1234", "03-02-26", "9.5"),
    ),
    Fitting(DELIVERY, "Dear Asha,\nYour order #A-1 is out for delivery.", ("Asha", "#A-1")),
    Fitting(PROMO, "Flat 50% off at Acme! Use code FEST till 31/12. T&C apply", ("FEST", "31/12")),
    Fitting(HINDI, "प्रिय आशा, आपका ओटीपी 4829 है। - ACMEBK", ("आशा", "4829")),
    Fitting(TAMIL, "அன்புள்ள Asha, உங்கள் ஆர்டர் A1 அனுப்பப்பட்டது.", ("Asha", "A1")),
    Fitting(CRLF, "Dear Ram\r\nThank you", ("Ram",)),
    # No placeholder, or nothing else.
    Fitting("Shop closed today", "Shop closed today", ()),
    Fitting("{#var#}", "anything at all", ("anything at all",)),
    Fitting("{#var#}", "a" * MOST, ("a" * MOST,)),
    Fitting("{#var#}", "😀" * MOST, ("😀" * MOST,)),  # in code points
    Fitting("{#var#}", "\ud800", ("\ud800",)),  # half a pair, as JSON may hold one
    # At the ends, and one after another.
    Fitting("{#var#} ok {#var#}", "x ok y", ("x", "y")),
    Fitting("{#var#}{#var#}", "a" * 60, ("a" * 30, "a" * 30)),
    Fitting("{#var#}{#var#}", "ab", ("a", "b")),
    Fitting("{#var#}{#var#}!", "abc!", ("a", "bc")),
    Fitting("Go {#var#}{#var#}{#var#}", "Go " + "x" * 90, ("x" * 30,) * 3),
    # A value may hold what the fixed text holds; the first is as short as can be.
    Fitting("{#var#}, {#var#}", "a, b, c", ("a", "b, c")),
    Fitting("a{#var#}a", "aaa", ("a",)),
    Fitting("x{#var#}-{#var#}", "x1-" + "-" * 29, ("1", "-" * 29)),
    Fitting("{#var#}b{#var#}", "ab" + "c" * 28 + "b" + "d" * 30, ("ab" + "c" * 28, "d" * 30)),  # not the first b
    # Anything in a value: blanks, line breaks, emoji, braces.
    Fitting(ONE_WAY, "Pay   now", (" ",)),
    Fitting(ONE_WAY, "Pay a\nb now", ("a\nb",)),
    Fitting(ONE_WAY, "Pay 👩‍👧 now", ("👩‍👧",)),
    Fitting(ONE_WAY, "Pay {#var#} now", ("{#var#}",)),
    Fitting(SPACED, "Visit us at Pune, MG Road today", ("at", "Pune, MG Road")),
    # Typed.
    Fitting("OTP {#numeric#}", "OTP 0012", ("0012",)),
    Fitting("OTP {#number#}.", "OTP 12.", ("12",)),
    Fitting("Ref {#alphanumeric#}.", "Ref AB 12.", ("AB 12",)),
    Fitting("Ref {#alphanumeric#}.", "Ref आशा १२.", ("आशा १२",)),
    Fitting("Hi {#alpha#}!", "Hi Asha Rao!", ("Asha Rao",)),
    Fitting("Hi {#alpha#}!", "Hi ஆஷா!", ("ஆஷா",)),
    Fitting("Call {#cbn#}.", "Call +91 22-4000 1234.", ("+91 22-4000 1234",)),
    Fitting("Write {#email#}.", "Write help@acme.in.", ("help@acme.in",)),
    Fitting(LINK, "Track: https://acme.in/t/1?a=b - ACME", ("https://acme.in/t/1?a=b",)),
    Fitting("{#var#}{#url#}", "Go: http://a.in", ("Go: ", "http://a.in")),
    Fitting("{#numeric#}{#alpha#}", "12ab", ("12", "ab")),
    Fitting("{#email#}{#var#}", "a@bc", ("a@b", "c")),
    # The allow list. An address in the fixed text needs none.
    Fitting(LINK, "Track: https://acme.in/t/1 - ACME", ("https://acme.in/t/1",), ("acme.in",)),
    Fitting(LINK, "Track: ACME.IN/t - ACME", ("ACME.IN/t",), ("https://acme.in/",)),
    Fitting(LINK, "Track: acme.in/t/1 - ACME", ("acme.in/t/1",), ("other.in", "acme.in/t")),
    Fitting("See acme.in now {#var#}", "See acme.in now Asha", ("Asha",), ("other.in",)),
    Fitting(ONE_WAY, "Pay Rs.500 now", ("Rs.500",), ("acme.in",)),
    Fitting(ONE_WAY, "Pay done.Please now", ("done.Please",), ("acme.in",)),
    Fitting(ONE_WAY, "Pay me@evil.in now", ("me@evil.in",), ("acme.in",)),
    *(Fitting(ONE_WAY, f"Pay {value} now", (value,), ("acme.in",)) for value in NO_LINKS),
    Fitting(ONE_WAY, "Pay evil.in/x now", ("evil.in/x",)),  # no list is known
]

MISFITS = [
    # Quotation marks, dashes, blanks.
    Misfitting(
        OTP,
        "482913 is your OTP for login to Acme Bank. Don▲’t share it with anyone - ACMEBK",
        NOT_MATCHED,
        "’ (RIGHT SINGLE QUOTATION MARK) where template Sample has ' (APOSTROPHE)",
    ),
    Misfitting(
        OTP,
        "482913 is your OTP for login to Acme Bank. Don't share it with anyone ▲– ACMEBK",
        NOT_MATCHED,
        "– (EN DASH) where template Sample has - (HYPHEN-MINUS)",
    ),
    Misfitting(
        OTP,
        "482913▲\u00a0is your OTP for login to Acme Bank. Don't share it with anyone - ACMEBK",
        NOT_MATCHED,
        "NO-BREAK SPACE where template Sample has SPACE",
    ),
    Misfitting("Shop closed today", "Shop ▲ closed today", NOT_MATCHED, "SPACE where template Sample has 'c'"),
    Misfitting("Shop closed today", "Shop closed today▲ ", NOT_MATCHED, "SPACE where template Sample ends"),
    Misfitting("Shop closed today", "Shop closed today▲\n", NOT_MATCHED, "LINE FEED where template Sample ends"),
    Misfitting("Shop closed today", "▲ Shop closed today", NOT_MATCHED, "SPACE where template Sample has 'S'"),
    Misfitting("Shop closed today", "Shop closed toda▲", NOT_MATCHED, "the text ends where template Sample has 'y'"),
    Misfitting("Shop closed today", "▲", NOT_MATCHED, "the text ends"),
    Misfitting("Shop closed today.", "Shop closed today▲!!", NOT_MATCHED, "! (EXCLAMATION MARK)"),
    Misfitting("a-b", "a▲\u2011b", NOT_MATCHED, "NON-BREAKING HYPHEN"),
    Misfitting("ab", "a▲\u200bb", NOT_MATCHED, "ZERO WIDTH SPACE where"),
    Misfitting("ab", "a▲\ufeffb", NOT_MATCHED, "ZERO WIDTH NO-BREAK SPACE"),
    Misfitting("a\tb", "a▲ b", NOT_MATCHED, "SPACE where template Sample has CHARACTER TABULATION"),
    Misfitting("Say “yes”", 'Say ▲"yes"', NOT_MATCHED, '" (QUOTATION MARK) where'),
    Misfitting("Pay ₹5", "Pay ▲Rs5", NOT_MATCHED, "₹ (INDIAN RUPEE SIGN)"),
    # Letter case, look-alikes, the Unicode form.
    Misfitting("Your OTP", "Your ▲otp", NOT_MATCHED, "'o' where template Sample has 'O'"),
    Misfitting("- ACMEBK", "- ACME▲bK", NOT_MATCHED, "'b' where template Sample has 'B'"),
    Misfitting("Bank", "B▲аnk", NOT_MATCHED, "а (CYRILLIC SMALL LETTER A) where"),
    Misfitting("caf\u00e9 ok", "caf▲e\u0301 ok", NOT_MATCHED, "LATIN SMALL LETTER E WITH ACUTE"),
    Misfitting("cafe\u0301 ok", "caf▲\u00e9 ok", NOT_MATCHED, "é (LATIN SMALL LETTER E WITH ACUTE)"),
    Misfitting("OK \U0001f600", "OK ▲\U0001f601", NOT_MATCHED, "GRINNING FACE"),
    # Line breaks.
    Misfitting(CRLF, "Dear Ram▲ Thank you", NOT_MATCHED, "CARRIAGE RETURN"),
    Misfitting("Hi\r\nyou", "Hi▲\nyou", NOT_MATCHED, "LINE FEED where template Sample has CARRIAGE RETURN"),
    Misfitting("Hi\nyou", "Hi▲\r\nyou", NOT_MATCHED, "CARRIAGE RETURN where template Sample has LINE FEED"),
    Misfitting(DELIVERY, "Dear Asha,▲ Your order A1 is out for delivery.", NOT_MATCHED, "LINE FEED"),
    Misfitting(DELIVERY, "Dear Asha,▲Your order A1 is out for delivery.", NOT_MATCHED, "'Y' where"),
    # Fixed text that is missing or another.
    Misfitting(DELIVERY, "Dear Asha▲\nYour order A1 is out for delivery.", NOT_MATCHED, ", (COMMA)"),
    Misfitting(DELIVERY, "Dear Asha,\nYour order A1 is out for delivery▲", NOT_MATCHED, "the text ends"),
    Misfitting(DELIVERY, "▲Hi Asha,\nYour order A1 is out for delivery.", NOT_MATCHED, "'H' where"),
    Misfitting(DELIVERY, "Dear Asha▲;\nYour order A1 is on its way.", NOT_MATCHED, "; (SEMICOLON)"),
    Misfitting(PROMO, "Flat ▲60% off at Acme! Use code FEST till 31/12. T&C apply", NOT_MATCHED, "'6' where"),
    Misfitting(PROMO, "Flat 50% off at Acme! Use code FEST ▲until 31/12. T&C apply", NOT_MATCHED, "'u' where"),
    Misfitting(PROMO, "Flat 50% off at Acme! Use code FEST till 31/12. T&C ▲Apply", NOT_MATCHED, "'A' where"),
    Misfitting(HINDI, "प्रिय आशा, आपका ओटीपी 4829 है▲. - ACMEBK", NOT_MATCHED, "DEVANAGARI DANDA"),
    Misfitting(HINDI, "प्रिय आशा, आपका ▲OTP 4829 है। - ACMEBK", NOT_MATCHED, "DEVANAGARI LETTER O"),
    Misfitting(TAMIL, "அன்புள்ள ஆஷா, உங்கள் ஆர்டர் A1 அனுப்பப்பட்டது▲", NOT_MATCHED, "FULL STOP"),
    Misfitting("{#var#} ok", "fine ok▲.", NOT_MATCHED, "ends"),
    # Values: too long, empty.
    Misfitting("{#var#}", "a" * 30 + "▲a", TOO_LONG, "placeholder 1 has 31 characters"),
    Misfitting("{#var#}", "😀" * 30 + "▲😀", TOO_LONG, "at most 30"),
    Misfitting("Hi {#var#}{#var#}!", "Hi " + "a" * 60 + "▲a!", TOO_LONG, "placeholders 1 to 2, side by side, has 61"),
    Misfitting(ONE_WAY, "Pay " + "9" * 30 + "▲9 now", TOO_LONG, "has 31 characters, from character 5 on"),
    Misfitting(
        BANK, "Rs.5 debited from A/c " + "1" * 30 + "▲11 on 1/2. Avl bal Rs.9 - ACMEBK", TOO_LONG, "placeholder 2"
    ),
    Misfitting("OTP {#numeric#}", "OTP " + "1" * 30 + "▲1", TOO_LONG, "{#numeric#} takes at most 30"),
    Misfitting("{#var#}", "▲", NOT_MATCHED, "Placeholder 1, {#var#}, has an empty value"),
    Misfitting(ONE_WAY, "Pay ▲ now", NOT_MATCHED, "empty value at character 5"),
    Misfitting("{#var#} is it", "▲ is it", NOT_MATCHED, "empty value at character 1"),
    Misfitting("{#var#}{#var#}", "▲a", NOT_MATCHED, "empty value"),
    Misfitting("OTP {#numeric#}", "OTP ▲", NOT_MATCHED, "{#numeric#}, has an empty value"),
    # Of the wrong type.
    Misfitting("OTP {#numeric#}.", "OTP 12▲a4.", NOT_MATCHED, '"12a4" at character 5, does not suit {#numeric#}'),
    Misfitting("OTP {#numeric#}", "OTP ▲१२", NOT_MATCHED, "digits only"),
    Misfitting("Rs.{#numeric#} paid", "Rs.1▲,250 paid", NOT_MATCHED, "digits only"),
    Misfitting("Ref {#alphanumeric#}.", "Ref AB▲-12.", NOT_MATCHED, "letters, digits and spaces only"),
    Misfitting("Hi {#alpha#}!", "Hi Asha▲2!", NOT_MATCHED, "letters and spaces only"),
    Misfitting("Call {#cbn#}.", "Call 1800-▲ACME.", NOT_MATCHED, "a phone number"),
    Misfitting("Write {#email#} now", "Write ▲acme.in now", NOT_MATCHED, "an e-mail address"),
    Misfitting("Write {#email#} now", "Write a▲ b@c.in now", NOT_MATCHED, "an e-mail address"),
    Misfitting(LINK, "Track: ▲soon - ACME", NOT_MATCHED, "a web address"),
    Misfitting(LINK, "Track: see▲ acme.in - ACME", NOT_MATCHED, "a web address"),
    Misfitting(
        "11{#alpha#}11", "11a11▲1", NOT_MATCHED, "'1' where template Sample ends"
    ),  # rather than "a1" for a value
    # The allow list.
    Misfitting(LINK, "Track: ▲https://evil.in/t - ACME", OFF_THE_LIST, '"https://evil.in/t" at char', ("acme.in",)),
    Misfitting(LINK, "Track: ▲t.acme.in/1 - ACME", OFF_THE_LIST, "allow list", ("acme.in",)),  # a subdomain
    Misfitting(LINK, "Track: ▲acme.in/x/1 - ACME", OFF_THE_LIST, "allow list", ("acme.in/t",)),
    Misfitting(LINK, "Track: ▲acme.in/tx - ACME", OFF_THE_LIST, "allow list", ("acme.in/t",)),
    Misfitting(LINK, "Track: ▲acme.in/T/1 - ACME", OFF_THE_LIST, "allow list", ("acme.in/t",)),
    Misfitting(LINK, "Track: ▲acme.in:81/t - ACME", OFF_THE_LIST, "allow list", ("acme.in",)),
    Misfitting(LINK, "Track: ▲http://acme.in@evil.in - ACME", OFF_THE_LIST, "allow list", ("acme.in",)),
    Misfitting(LINK, "Track: ▲evil.zip - ACME", OFF_THE_LIST, "allow list", ("acme.in",)),
    Misfitting(ONE_WAY, "Pay ▲evil.in/x now", OFF_THE_LIST, "allow list", ("acme.in",)),
    Misfitting(ONE_WAY, "Pay at ▲www.evil.zip, now", OFF_THE_LIST, '"www.evil.zip"', ("acme.in",)),
    *(Misfitting(ONE_WAY, f"Pay {marked} now", OFF_THE_LIST, "allow list", ("acme.in",)) for marked in LINKS),
    Misfitting("See acme.in/{#var#} now", "See ▲acme.in/x now", OFF_THE_LIST, "acme.in/x", ("acme.in/t",)),
]
