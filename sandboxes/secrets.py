"""Secrets by reference: read when a command starts, blotted out of what comes back.

Only the value itself is found again. A command that was given a secret can print it backwards
or encoded; give secrets only to what may have them.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from sandboxes.base import SandboxError

SHORTEST = 6
"""A shorter value would be found in innocent text everywhere."""
_MARK = b"*"


class SecretMissingError(SandboxError):
    """A secret that a sandbox was granted cannot be read; the operator must act."""


def resolve(references: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that `references` (`env:NAME`, `file:PATH`) stand for.

    Raises:
        SecretMissingError: one cannot be read or is too short to be blotted out.
    """
    return {name: _value(name, reference) for name, reference in references.items()}


def _value(name: str, reference: str) -> str:
    kind, _, place = reference.partition(":")
    value: str | None = None
    why = "is not set"
    if kind == "env":
        value = os.environ.get(place)
    elif kind == "file":
        try:
            value = Path(place).read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = f"cannot be read ({type(error).__name__})"
    else:
        why = "is no reference; expected env:NAME or file:PATH"
    if value is None:
        msg = f"the secret {name} is missing: {reference!r} {why}"
        raise SecretMissingError(msg)
    if len(value.encode()) < SHORTEST or "\0" in value:
        msg = f"the secret {name} ({reference!r}) has fewer than {SHORTEST} bytes, or a NUL"
        raise SecretMissingError(msg)
    return value


class Blot:
    """Finds secret values in bytes and overwrites them, keeping the length."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        """Look for the values of `values`, longest first."""
        found = {value.encode() for value in (values or {}).values()}
        self._secrets = sorted(found, key=len, reverse=True)

    def all(self, data: bytes) -> bytes:
        """Return `data` without the secrets that are whole in it."""
        for secret in self._secrets:
            if secret in data:
                data = data.replace(secret, _MARK * len(secret))
        return data

    def held_back(self, data: bytes) -> int:
        """Return how many bytes at the end of `data` may be the beginning of a secret."""
        longest = max((len(secret) for secret in self._secrets), default=0)
        for size in range(min(longest - 1, len(data)), 0, -1):
            end = data[-size:]
            if any(secret.startswith(end) for secret in self._secrets):
                return size
        return 0


class BlotStream:
    """Overwrites secrets in a stream, also those that are split over chunks."""

    def __init__(self, blot: Blot) -> None:
        """Begin with nothing held back."""
        self._blot = blot
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return what is safe to show after `chunk` came."""
        data = self._blot.all(self._rest + chunk)
        held = self._blot.held_back(data)
        self._rest = data[len(data) - held :]
        return data[: len(data) - held]

    def end(self) -> bytes:
        """Return what was held back: the beginning of a secret that never came whole."""
        rest, self._rest = self._rest, b""
        return rest
