"""Make ids that sort by the time they were made (ULID)."""

import secrets
import time

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS = 80
_LENGTH = 26


def new_id() -> str:
    """Return 26 letters and digits: 48 bits of milliseconds, then 80 random bits."""
    number = time.time_ns() // 1_000_000 << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    letters: list[str] = []
    for _ in range(_LENGTH):
        letters.append(_CROCKFORD[number & 31])
        number >>= 5
    return "".join(reversed(letters))
