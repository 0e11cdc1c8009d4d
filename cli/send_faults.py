"""The API's no to a send, in the words of the command line: options in place of fields, lines in place of rows."""

import re

from cli.api_client import ApiRefusal
from cli.audience import MOST_SHOWN, Audience, refuse
from cli.errors import CommandError

ADVICE = "correct them, or leave them out with --skip-invalid"
_COUNT = re.compile(r"((?:at least )?)([\d,]+) rows? (?:is|are) wrong")  # how the API's refusal of rows begins
_NOT_OPTIONS = {  # fields of the API that have another name here
    "validity_period": "--validity",
    "on_invalid": "--skip-invalid",
    "template_variables": "--value",
    "Idempotency-Key": "--key",
    "messages": "the file",
}


def option_of(field: str) -> str:
    """What a field of the batch is called on the command line. Of an MMS, with the place in it."""
    name, _, place = field.partition(".")
    option = _NOT_OPTIONS.get(name, f"--{name.replace('_', '-')}")
    return f"{option}, {place}" if place and name == "mms" else option


def in_options(refusal: ApiRefusal) -> CommandError:
    """Of what all rows share, or of a single message."""
    named = [f"{option_of(fault['field'])}: {fault['message']}" for fault in refusal.faults if fault.get("field")]
    return CommandError("; ".join(named)) if named else refusal


def in_lines(refusal: ApiRefusal, audience: Audience, readable: int, *, skips: bool) -> CommandError:
    """Of a file of so many readable rows; `skips`: bad rows are left out."""
    of_rows = [fault for fault in refusal.faults if "index" in fault]
    if not of_rows:
        return in_options(refusal)  # its own words are of a first line, which is none of the file's
    # It advises those who write requests, of which it lists more than are shown here: the count alone is for us.
    told = _COUNT.match(str(refusal))
    at_least, count = (told[1], int(told[2].replace(",", ""))) if told else ("at least ", len(of_rows))
    advice = ADVICE if count < readable and not skips else "correct them"
    what = f"{at_least}{count:,} row{' is' if count == 1 else 's are'} wrong, and nothing was stored: {advice}"
    return refuse(what, audience.in_lines(of_rows[:MOST_SHOWN]), count)
