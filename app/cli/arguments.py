"""Every verb of the command line, with help that teaches; standard library only."""

import argparse
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from app.cli.access_arguments import add_audit, add_keys, add_tidy
from app.cli.automation_arguments import add_agents, add_schedules, add_webhooks
from app.cli.steering_arguments import add_approvals, add_budget

_OVERVIEW = """\
first steps:
  strop doctor                             what works here, what is chosen and why
  strop solve "How many rows are in data.csv?" --file data.csv
  strop serve                              the server, with the chat page

exit codes: 0 done, 1 the task failed, 2 wrong use, 3 something needed is missing,
4 budget reached, 130 interrupted
"""

_OF_A_NAMESPACE = frozenset(
    {
        "app.cli.solve",
        "app.cli.steering",
        "app.cli.tasks",
        "app.cli.memory",
        "app.cli.approvals",
        "app.cli.schedules",
        "app.cli.agents",
        "app.cli.webhooks",
    }
)
"""Modules whose commands look at the things of one namespace."""


class Verbs(Protocol):
    """Where verbs are added to."""

    def add_parser(self, name: str, **options: Any) -> ArgumentParser:  # noqa: ANN401 - argparse's signature
        """Return the parser of a new verb."""
        ...


def build_parser() -> ArgumentParser:
    """Return the parser of the whole command line."""
    parser = _Parser(
        prog="strop",
        description="A multi-agent runtime with self-evolving memory.",
        epilog=_OVERVIEW,
    )
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for add in (
        _solve,
        _serve,
        _work,
        _tasks,
        _approvals,
        _memory,
        _models,
        _sandboxes,
        _schedules,
        _webhooks,
        _agents,
        _access,
        _doctor,
    ):
        add(verbs)
    return parser


class _Parser(ArgumentParser):
    """Keeps the line breaks of examples and refuses abbreviated options."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - argparse's signature
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)


def _verb(verbs: Verbs, name: str, summary: str, run: str, example: str) -> ArgumentParser:
    """Add a verb: what it does, which function runs it, how it is used."""
    parser = verbs.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog="example:\n  " + example.replace("\n", "\n  "),
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")
    if run.partition(":")[0] in _OF_A_NAMESPACE:
        parser.add_argument(
            "--namespace", default="default", metavar="NAME", help="whose tasks and memory it means"
        )
    parser.set_defaults(command=run)
    return parser


def _group(verbs: Verbs, name: str, summary: str) -> Verbs:
    parser = verbs.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + "."
    )
    return parser.add_subparsers(title="verbs", metavar="VERB", required=True)


def _number(kind: Callable[[str], float], least: float, *, above: bool) -> Callable[[str], Any]:
    """Return a reader of numbers that refuses small ones and says what it expected."""

    def read(text: str) -> float:
        wanted = f"a number {'above' if above else 'of at least'} {least:g}"
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {wanted}, got {text!r}") from None
        if not (value > least if above else value >= least) or value == float("inf"):
            raise argparse.ArgumentTypeError(f"expected {wanted}, got {text!r}")
        return value

    return read


def _solve(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "solve",
        "work on a task now and print its answer",
        "app.cli.solve:solve",
        'strop solve "What was the mean of CO(GT)? Write it to report.md" \\\n'
        "    --file examples/air-quality/air_quality_week.csv --max-steps 20",
    )
    parser.add_argument(
        "task", metavar="TASK", help="what is to be done, in words; - reads it from stdin"
    )
    parser.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="PATH",
        help="a file to copy into the task's workspace; may be repeated",
    )
    parser.add_argument(
        "--out",
        default=None,
        metavar="FOLDER",
        help="copy the files that the answer hands over into this folder",
    )
    parser.add_argument(
        "--model",
        default=None,
        metavar="NAME",
        help="a model for this task only; see: strop models list",
    )
    parser.add_argument(
        "--budget-usd",
        type=_number(float, 0, above=False),
        default=None,
        metavar="X",
        help="what the task may cost in dollars",
    )
    parser.add_argument(
        "--max-steps",
        type=_number(int, 0, above=True),
        default=None,
        metavar="N",
        help="how many steps it may take",
    )


def _serve(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "serve",
        "start the server with the REST API and the chat page",
        "app.cli.serve:serve",
        "strop serve --port 9000",
    )
    parser.add_argument("--host", default=None, help="address to listen on (127.0.0.1)")
    parser.add_argument(
        "--port",
        type=_number(int, 0, above=False),
        default=None,
        help="port to listen on (8321); 0 takes a free one",
    )


def _work(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "work",
        "work on tasks without a server, beside others on the same database",
        "app.cli.work:work",
        "strop work --concurrency 8",
    )
    parser.add_argument(
        "--concurrency",
        type=_number(int, 0, above=True),
        default=None,
        help="tasks worked on at once (STROP_CONCURRENCY, 4)",
    )
    parser.add_argument(
        "--alive-file",
        default=None,
        metavar="PATH",
        help="touch this file every 5 seconds while it works; app/probe.py reads it",
    )


def _tasks(verbs: Verbs) -> None:
    group = _group(verbs, "tasks", "look at tasks, follow, answer or cancel them")
    parser = _verb(
        group,
        "list",
        "list tasks, newest first",
        "app.cli.tasks:list_tasks",
        "strop tasks list --status failed --limit 5",
    )
    parser.add_argument("--status", default=None, help="only tasks of this status")
    parser.add_argument("--text", default=None, help="only tasks whose instruction has this text")
    parser.add_argument("--limit", type=_number(int, 0, above=True), default=20, metavar="N")
    for name, summary, run in (
        ("show", "show a task: plan, answer, cost, what was recalled and learned", "tasks:show"),
        ("events", "print what happened in a task; follows it while it runs", "tasks:events"),
        ("cancel", "end a task at once", "tasks:cancel"),
        ("pause", "stop a task where it stands", "steering:pause"),
        ("resume", "let a paused task go on", "steering:resume"),
        ("retry", "begin a new run of a failed or cancelled task", "steering:retry"),
    ):
        parser = _verb(
            group,
            name,
            summary,
            f"app.cli.{run}",
            f"strop tasks {name} t_4f9c   # the start of an id is enough",
        )
        parser.add_argument("id", metavar="ID")
        if name == "events":
            parser.add_argument(
                "--after",
                type=_number(int, 0, above=False),
                default=0,
                metavar="N",
                help="only what follows event number N",
            )
    for name, summary, text in (
        ("answer", "answer the question that a waiting task has asked", "the second one"),
        ("say", "tell a task something while it is worked on", "leave out the year 2003"),
    ):
        example = f'strop tasks {name} t_4f9c "{text}"'
        parser = _verb(group, name, summary, "app.cli.steering:say", example)
        parser.add_argument("id", metavar="ID")
        parser.add_argument("text", metavar="TEXT")
    add_budget(group, _verb, _number)


def _approvals(verbs: Verbs) -> None:
    group = _group(verbs, "approvals", "see what tasks ask to be allowed, and decide it")
    add_approvals(group, _verb, _number)


def _memory(verbs: Verbs) -> None:
    group = _group(verbs, "memory", "look at what was learned")
    parser = _verb(
        group,
        "list",
        "list what was learned, newest first",
        "app.cli.memory:list_entries",
        "strop memory list --kind tip",
    )
    parser.add_argument("--kind", choices=("tip", "shortcut"), default=None)
    parser.add_argument(
        "--status", default=None, choices=("proposed", "trial", "active", "quarantined", "retired")
    )
    parser.add_argument("--limit", type=_number(int, 0, above=True), default=50, metavar="N")
    parser = _verb(
        group,
        "show",
        "show an entry, where it came from and its versions",
        "app.cli.memory:show",
        "strop memory show e_81b2   # the start of an id is enough",
    )
    parser.add_argument("id", metavar="ID")
    parser = _verb(
        group,
        "receipt",
        "say what an entry is worth: runs with it and without it",
        "app.cli.memory:receipt",
        "strop memory receipt e_81b2   # the start of an id is enough",
    )
    parser.add_argument("id", metavar="ID")


def _models(verbs: Verbs) -> None:
    group = _group(verbs, "models", "see, find and try models")
    _verb(
        group,
        "list",
        "list the models that can be named, and the chosen one",
        "app.cli.models:list_models",
        "strop models list",
    )
    _verb(
        group,
        "discover",
        "look for model servers on this machine",
        "app.cli.models:discover",
        "strop models discover",
    )
    parser = _verb(
        group,
        "test",
        "try what a model can really do, with three small calls",
        "app.cli.models:test",
        "strop models test ollama_chat/qwen3:4b",
    )
    parser.add_argument(
        "name", nargs="?", default=None, metavar="NAME", help="the chosen model when left out"
    )


def _sandboxes(verbs: Verbs) -> None:
    group = _group(verbs, "sandboxes", "see and examine where code runs")
    _verb(
        group,
        "list",
        "list the backends and what each enforces here",
        "app.cli.sandboxes:list_backends",
        "strop sandboxes list",
    )
    parser = _verb(
        group,
        "check",
        "let a backend sit its exam: contract and containment",
        "app.cli.sandbox_exam:check",
        "strop sandboxes check bubblewrap\nstrop sandboxes check --all --markdown",
    )
    parser.description = (
        "Let a backend sit its exam. It does what the port promises, or a line says BROKEN; it is\n"
        "attacked in many ways that cannot hurt this machine, and held, broke or could not be\n"
        "tried here. Takes about half a minute; the exit code is 1 when anything broke.\n"
        "With --all, what protects nothing may break: it shows that the attacks are real."
    )
    parser.add_argument(
        "name", nargs="?", default=None, metavar="NAME", help="the chosen backend when left out"
    )
    parser.add_argument("--all", action="store_true", help="examine every backend there is")
    parser.add_argument(
        "--markdown", action="store_true", help="write a table of checks and backends"
    )
    parser = _verb(
        group,
        "run",
        "run a command in a fresh sandbox with an empty workspace",
        "app.cli.sandboxes:run",
        "strop sandboxes run -- python3 -c 'print(6 * 7)'",
    )
    parser.add_argument("words", nargs="+", metavar="CMD", help="the command, after --")
    parser = _verb(
        group,
        "build",
        "build the image of docker sandboxes",
        "app.cli.sandboxes:build",
        "strop sandboxes build --base python:3.12-slim",
    )
    parser.add_argument(
        "--base", metavar="IMAGE", help="what to build on: has Python 3, or Debian's apt-get"
    )


def _schedules(verbs: Verbs) -> None:
    group = _group(verbs, "schedules", "tasks that come by themselves")
    add_schedules(partial(_verb, group), _number)


def _webhooks(verbs: Verbs) -> None:
    group = _group(verbs, "webhooks", "tell other programs how tasks fare")
    add_webhooks(partial(_verb, group), _number)


def _agents(verbs: Verbs) -> None:
    group = _group(verbs, "agents", "keep agents that wake, work, report and sleep")
    add_agents(partial(_verb, group), _number)


def _access(verbs: Verbs) -> None:
    group = _group(verbs, "keys", "make keys, list them, take them back")
    add_keys(partial(_verb, group))
    add_audit(partial(_verb, verbs))
    add_tidy(partial(_verb, verbs))


def _doctor(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "doctor",
        "say what is available here, what is chosen and why",
        "app.cli.doctor:doctor",
        "strop doctor --settings",
    )
    parser.add_argument(
        "--settings",
        action="store_true",
        help="print the effective settings and where each came from",
    )
