"""What code can say about a failed call without repeating what it printed.

Feedback stands outside the marks that fence untrusted text, so no hint quotes a result.
"""

import re

from agents.state import CallRecord
from memory.records import ErrorClass

_KNOWN: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"ModuleNotFoundError"),
        "The package is not there and cannot be installed; use the standard library.",
    ),
    (
        re.compile(r"UnicodeDecodeError|codec can't decode"),
        "The file is not UTF-8; look at its first bytes, try cp1252 or utf-16.",
    ),
    (
        re.compile(r"KeyError|ValueError: .* is not in list"),
        "A name is not among those that are there; compare it with the header or the keys.",
    ),
    (
        re.compile(r"could not convert string|invalid literal for"),
        "A value does not read as a number; look at how the file writes numbers and gaps.",
    ),
    (
        re.compile(r"does not match format|Invalid isoformat"),
        "A value does not read as a date; look at how the file writes dates.",
    ),
)

_BY_CLASS: dict[ErrorClass, str] = {
    "bad_arguments": "The call itself is wrong; its result says what was expected.",
    "precondition": "Files or data are not as the step assumed; its result says where.",
    "not_found": "Something that it names is not there; see what is.",
    "auth": "A key is missing or wrong; no other wording will help.",
    "quota": "The other side wants fewer calls.",
    "timeout": "It took too long; do less at a time.",
    "network": "There is no way to that address from here.",
    "server": "The other side failed.",
    "sandbox": "A limit of the sandbox was reached; use less memory, disk or output.",
    "policy": "It is not allowed here; another wording will not help.",
    "unknown": "Its result says what is known.",
}


def hint(call: CallRecord) -> str:
    """Return one sentence on why the call failed and what to look at."""
    for pattern, sentence in _KNOWN:
        if pattern.search(call.text):
            return sentence
    return _BY_CLASS[call.error_class or "unknown"]
