"""Recognise secrets by their form, or by looking like nothing else."""

import math
import re
from collections import Counter

_FORMS = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "a cloud key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{35}\b",
    "a repository token": r"\b(?:gh[pousr]_\w{30,}|github_pat_\w{30,}|glpat-[\w-]{20,})",
    "an API key": r"\b(?:sk|pk|rk)[-_](?:[a-z]+[-_])*[A-Za-z0-9_-]{20,}",
    "a chat token": r"\bxox[abposr]-[\w-]{10,}",
    "a web token": r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}",
    "a bearer token": r"\b[Bb]earer\s+[A-Za-z0-9._~+/-]{16,}",
    "a password": r"(?i)\b(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?token)\b"
    r"\s*(?:=|:|\bis\b)\s*['\"]?(?=\S*[^\s'\"a-z{<$])[^\s'\"{<$]{6,}",
    "a login in an address": r"://[^\s/:@]+:[^\s/@]{3,}@",
}
_SECRETS = {kind: re.compile(form) for kind, form in _FORMS.items()}
_TOKEN = re.compile(r"[A-Za-z0-9+=_-]{20,}")
_HEX = re.compile(r"\b[0-9a-fA-F]{32,}\b")
_MIN_HEX_BITS = 2.5
_MIN_BITS = 3.8
"""Per character; English words and identifiers have 3 to 3.7, random base64 of 20 has over 4."""


def find_secret(text: str) -> str:
    """Return what kind of secret the text seems to hold, or an empty string."""
    for kind, pattern in _SECRETS.items():
        if pattern.search(text):
            return kind
    digests = any(entropy(digits) >= _MIN_HEX_BITS for digits in _HEX.findall(text))
    if digests or any(_is_random(token) for token in _TOKEN.findall(text)):
        return "a random token"
    return ""


def _is_random(token: str) -> bool:
    mixed = all(
        any(test(letter) for letter in token) for test in (str.isupper, str.islower, str.isdigit)
    )
    return mixed and entropy(token) >= _MIN_BITS


def entropy(text: str) -> float:
    """Return the Shannon entropy in bits per character."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)
