"""API keys: how they look, how they are kept, and whether one that comes is right."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

PREFIX = "strop"
_FORM = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_([0-9a-f]{{64}})", re.ASCII)
_NOBODY = "00:" + "0" * 64
"""What is compared for a key that does not exist, so that this takes as long."""


@dataclass(frozen=True)
class Token:
    """The two parts of a key."""

    key_id: str
    """Looks it up; no secret."""
    secret: str

    def __str__(self) -> str:
        """Return the key as it is sent."""
        return f"{PREFIX}_{self.key_id}_{self.secret}"

    def __repr__(self) -> str:
        """Return what a log may hold."""
        return f"Token({self.key_id!r})"


def new_token() -> Token:
    """Return a key that nobody can guess: 256 random bits."""
    return Token(secrets.token_hex(6), secrets.token_hex(32))


def parse(text: str) -> Token | None:
    """Return the parts of a key, or None for what is none."""
    found = _FORM.fullmatch(text)
    return Token(found[1], found[2]) if found else None


def hashed(token: Token) -> str:
    """Return what is kept of a key: a salt and a digest, from which it cannot be found."""
    salt = secrets.token_hex(16)
    return f"{salt}:{_digest(salt, token.secret)}"


def matches(token: Token, kept: str | None) -> bool:
    """Whether this key was hashed to `kept`; takes the same time in every case."""
    salt, _, digest = (kept or _NOBODY).partition(":")
    same = hmac.compare_digest(_digest(salt, token.secret), digest)
    return same and kept is not None


def _digest(salt: str, secret: str) -> str:
    return hmac.new(salt.encode(), secret.encode(), hashlib.sha256).hexdigest()
