"""The verbs about who may do what; standard library only."""

from argparse import ArgumentParser
from collections.abc import Callable

Verb = Callable[[str, str, str, str], ArgumentParser]
"""Adds a verb: name, summary, the function that runs it, an example."""
_SCOPES = ("tasks:read", "tasks:write", "memory:write", "tools:write", "admin")


def add_keys(verb: Verb) -> None:
    """Add the verbs of `strop keys`."""
    parser = verb(
        "create",
        "make a key; it is shown once, and from the first one on every request needs one",
        "app.cli.keys:create",
        "strop keys create laptop --scope admin",
    )
    parser.add_argument("name", metavar="NAME", help="for people: what uses it")
    parser.add_argument("--namespace", default="default", metavar="NAME")
    parser.add_argument(
        "--scope",
        action="append",
        choices=_SCOPES,
        help="what it may do (tasks:read and tasks:write); may be repeated",
    )
    parser.add_argument("--days", type=_days, default=None, metavar="N", help="days it is good for")
    verb("list", "list every key without its secret", "app.cli.keys:list_keys", "strop keys list")
    parser = verb(
        "revoke",
        "take a key back, at once and for good",
        "app.cli.keys:revoke",
        "strop keys revoke 4f9c0a1b2c3d",
    )
    parser.add_argument("id", metavar="ID")


def add_audit(verb: Verb) -> None:
    """Add `strop audit`."""
    parser = verb(
        "audit",
        "print who did what, newest first",
        "app.cli.audit:audit",
        "strop audit --action key --limit 20",
    )
    parser.add_argument("--namespace", default=None, metavar="NAME")
    parser.add_argument(
        "--action", default=None, help="such as key.revoked, or key for all of them"
    )
    parser.add_argument("--key", default=None, metavar="ID")
    parser.add_argument("--limit", type=_days, default=50, metavar="N")


def add_tidy(verb: Verb) -> None:
    """Add `strop tidy`."""
    verb(
        "tidy",
        "remove what is older than the settings and namespaces say",
        "app.cli.tidy:tidy",
        "STROP_RETENTION_DAYS=90 strop tidy",
    )


def _days(text: str) -> int:
    value = int(text)
    if not 0 < value <= 100_000:
        raise ValueError(text)
    return value
