"""The verbs with which people decide what tasks ask, and raise what they may use."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

Verb = Callable[..., ArgumentParser]
Number = Callable[..., Any]


def add_approvals(group: object, verb: Verb, number: Number) -> None:
    """Add `approvals list|show|approve|reject`."""
    parser = verb(
        group,
        "list",
        "list what waits for a decision, newest first",
        "app.cli.approvals:list_approvals",
        "strop approvals list",
    )
    parser.add_argument("--all", action="store_true", help="those that were decided, too")
    parser.add_argument("--limit", type=number(int, 0, above=True), default=50, metavar="N")
    parser = verb(
        group,
        "show",
        "show one, its arguments whole",
        "app.cli.approvals:show",
        "strop approvals show a_4f9c",
    )
    parser.add_argument("id", metavar="ID")
    for decision, summary, example in (
        ("approve", "let the call be made", "strop approvals approve a_4f9c"),
        (
            "reject",
            "do not let the call be made",
            'strop approvals reject a_4f9c --note "not there"',
        ),
    ):
        parser = verb(group, decision, summary, "app.cli.approvals:decide", example)
        parser.set_defaults(decision=decision)
        parser.add_argument("id", metavar="ID")
        parser.add_argument("--note", default="", help="words that the model is told")
        if decision == "approve":
            parser.add_argument(
                "--edit", metavar="JSON", default=None, help="call it with these arguments instead"
            )


def add_budget(group: object, verb: Verb, number: Number) -> None:
    """Add `tasks budget`."""
    parser = verb(
        group,
        "budget",
        "change what a task may use; one that waits for more goes on",
        "app.cli.steering:budget",
        "strop tasks budget t_4f9c --usd 5",
    )
    parser.add_argument("id", metavar="ID")
    parser.add_argument("--usd", type=number(float, 0, above=False), default=None, metavar="X")
    parser.add_argument("--tokens", type=number(int, 0, above=True), default=None, metavar="N")
    parser.add_argument("--steps", type=number(int, 0, above=True), default=None, metavar="N")
    parser.add_argument("--seconds", type=number(float, 0, above=True), default=None, metavar="S")
