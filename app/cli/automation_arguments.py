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


def add_webhooks(verb: Verb, number: Callable[..., Any]) -> None:
    """Add the verbs of `strop webhooks`."""
    parser = verb(
        "add",
        "tell another program of new statuses of tasks; the secret is shown this once",
        "app.cli.webhooks:add",
        "strop webhooks add https://example.org/strop --status succeeded --status failed",
    )
    parser.add_argument("url", metavar="URL", help="where to post; http or https")
    parser.add_argument(
        "--status",
        action="append",
        default=[],
        metavar="STATUS",
        help="what is told (everything); may be repeated",
    )
    verb("list", "list webhooks", "app.cli.webhooks:list_webhooks", "strop webhooks list")
    for name, summary in (
        ("show", "show one webhook, without its secret"),
        ("remove", "delete a webhook and what waits for it"),
        ("test", "send it a message that tells nothing"),
        ("deliveries", "print what was sent to it and what became of it, newest first"),
        ("redeliver", "send a delivery once more, under the same id"),
    ):
        words = " d_81b2" if name == "redeliver" else ""
        example = f"strop webhooks {name} w_4f9c{words}"
        parser = verb(name, summary, f"app.cli.webhooks:{name}", example)
        parser.add_argument("id", metavar="ID")
        if name == "deliveries":
            parser.add_argument("--limit", type=number(int, 0, above=True), default=20, metavar="N")
        if name == "redeliver":
            parser.add_argument("delivery", metavar="DELIVERY", help="its id; see deliveries")


def add_agents(verb: Verb, number: Callable[..., Any]) -> None:
    """Add the verbs of `strop agents`."""
    parser = verb(
        "create",
        "keep an agent that wakes by itself, works, reports and sleeps",
        "app.cli.agents:create",
        'strop agents create "Watch the error log and report what is new" --every 3600',
    )
    parser.add_argument("instruction", metavar="TEXT", help="what it is there for")
    _add_agent_options(parser, number)
    parser = verb(
        "change",
        "change an agent; what is left out stays",
        "app.cli.agents:change",
        "strop agents change ag_4f9c --usd-per-day 5",
    )
    parser.add_argument("id", metavar="ID")
    parser.add_argument("--instruction", default=None, metavar="TEXT", help="what it is there for")
    _add_agent_options(parser, number)
    verb("list", "list standing agents", "app.cli.agents:list_agents", "strop agents list")
    for name, summary in (
        ("show", "show one agent"),
        ("pause", "let it and its present task sleep until it is resumed"),
        ("resume", "let a paused agent go on"),
        ("wake", "let it wake now, or as soon as its present task is over"),
        ("tell", "put a message into its inbox"),
        ("reports", "print what its wake-ups came to, newest first"),
        ("delete", "stop it for good; its present task is cancelled, its tasks stay"),
    ):
        parser = verb(name, summary, f"app.cli.agents:{name}", _agent_example(name))
        parser.add_argument("id", metavar="ID")
        if name == "tell":
            parser.add_argument("text", metavar="TEXT")
        if name == "reports":
            parser.add_argument("--limit", type=number(int, 0, above=True), default=5, metavar="N")


def _add_agent_options(parser: ArgumentParser, number: Callable[..., Any]) -> None:
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--cron", metavar="LINE", help="five fields: minute hour day month weekday")
    when.add_argument("--every", type=number(int, 0, above=True), metavar="S", help="seconds")
    parser.add_argument("--timezone", default=None, metavar="ZONE", help="of --cron (UTC)")
    parser.add_argument("--name", default=None)
    parser.add_argument("--model", default=None, metavar="NAME", help="a model for its tasks")
    parser.add_argument(
        "--usd-per-day",
        type=number(float, 0, above=True),
        default=None,
        metavar="X",
        help="what its model calls may cost in a day",
    )
    parser.add_argument(
        "--tokens-per-day", type=number(int, 0, above=True), default=None, metavar="N"
    )
    parser.add_argument(
        "--wakes-per-day", type=number(int, 0, above=True), default=None, metavar="N"
    )


def _agent_example(name: str) -> str:
    words = ' "look at Tuesday, too"' if name == "tell" else ""
    return f"strop agents {name} ag_4f9c{words}"
