"""The verbs about what happens without a person."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

Verb = Callable[[str, str, str, str], ArgumentParser]
"""Adds a verb: name, summary, the function that runs it, an example."""


def add_schedules(verb: Verb, number: Callable[..., Any]) -> None:
    """Add the verbs of `strop schedules`."""
    parser = verb(
        "create",
        "submit a task again and again, or once at a time",
        "app.cli.schedules:create",
        'strop schedules create "Sum up yesterday" --cron "0 7 * * 1-5" --timezone Europe/Berlin',
    )
    parser.add_argument("task", metavar="TASK", help="what each due time submits")
    when = parser.add_mutually_exclusive_group(required=True)
    when.add_argument("--cron", metavar="LINE", help="five fields: minute hour day month weekday")
    when.add_argument("--every", type=number(int, 0, above=True), metavar="S", help="seconds")
    when.add_argument("--at", metavar="TIME", help="once, such as 2027-01-31T08:00:00Z")
    parser.add_argument("--timezone", default=None, metavar="ZONE", help="of --cron (UTC)")
    parser.add_argument("--name", default="")
    parser.add_argument("--missed", choices=("skip", "run_once", "run_all"), default="run_once")
    parser.add_argument("--overlap", choices=("skip", "allow"), default="skip")
    verb("list", "list schedules", "app.cli.schedules:list_schedules", "strop schedules list")
    for name, summary, run in (
        ("show", "show one schedule", "show"),
        ("hold", "keep a schedule from being due", "switch"),
        ("resume", "let a held schedule be due again", "switch"),
        ("run", "make its task now, beside its due times", "run"),
        ("delete", "delete a schedule; the tasks that it made stay", "remove"),
    ):
        parser = verb(name, summary, f"app.cli.schedules:{run}", f"strop schedules {name} s_4f9c")
        parser.add_argument("id", metavar="ID")
        if run == "switch":
            parser.set_defaults(enabled=name == "resume")
