"""The command line teaches its own use and refuses what it does not understand."""

import pytest

from app.cli.arguments import build_parser
from app.cli.main import main

VERBS = (
    "solve",
    "serve",
    "tasks list",
    "tasks show",
    "tasks events",
    "tasks cancel",
    "tasks answer",
    "memory list",
    "memory show",
    "memory receipt",
    "models list",
    "models discover",
    "models test",
    "sandboxes list",
    "sandboxes check",
    "sandboxes run",
    "sandboxes build",
    "doctor",
)


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_shows_an_example_and_offers_json(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*verb.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"example:\n  strop {verb}" in shown
    assert "--json" in shown


def test_the_overview_names_every_verb_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for word in {verb.split()[0] for verb in VERBS} | {"130 interrupted", "4 budget reached"}:
        assert word in shown


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "required: VERB"),
        (["dance"], "invalid choice: 'dance'"),
        (["solve"], "required: TASK"),
        (["solve", "x", "--max-steps", "0"], "expected a number above 0, got '0'"),
        (["solve", "x", "--max-steps", "2.5"], "expected a number above 0, got '2.5'"),
        (["solve", "x", "--budget-usd", "nan"], "expected a number of at least 0, got 'nan'"),
        (["solve", "x", "--budget-usd", "inf"], "expected a number of at least 0, got 'inf'"),
        (["solve", "x", "--mod", "y"], "unrecognized arguments: --mod"),
        (["memory", "list", "--kind", "poem"], "invalid choice: 'poem'"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_was_expected(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert complaint in capsys.readouterr().err


def test_what_follows_two_dashes_belongs_to_the_command_in_the_sandbox() -> None:
    args = build_parser().parse_args(["sandboxes", "run", "--", "ls", "--help", "-la"])
    assert args.words == ["ls", "--help", "-la"]
