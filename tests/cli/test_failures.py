"""Each failure has its exit code and a sentence."""

import pytest

from app.cli.exits import CliError, Exit
from app.cli.failures import explain
from app.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    SettingsError,
    UnavailableError,
)
from memory.base import EntryNotFoundError
from models.base import BadReplyError, ModelServerError, UnknownModelError
from sandboxes.base import SandboxUnavailableError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("STROP_PORT: expected a number"), Exit.WRONG_USE),
        (InvalidInputError.of("model", "unknown"), Exit.WRONG_USE),
        (NotFoundError("no task"), Exit.WRONG_USE),
        (UnknownModelError("no model"), Exit.WRONG_USE),
        (EntryNotFoundError("no entry"), Exit.WRONG_USE),
        (SandboxUnavailableError("no bwrap"), Exit.MISSING),
        (ModelServerError("nobody answers"), Exit.MISSING),
        (UnavailableError("disk full"), Exit.MISSING),
        (ConflictError("it is over already"), Exit.FAILED),
        (BadReplyError("rubbish"), Exit.FAILED),
        (PermissionError("not yours"), Exit.FAILED),
        (CliError(Exit.BUDGET, "too dear"), Exit.BUDGET),
    ],
)
def test_a_failure_has_its_exit_code_and_keeps_its_words(error: Exception, code: Exit) -> None:
    found, message = explain(error)
    assert found is code
    assert message == str(error)


def test_a_fault_of_our_own_is_called_one_and_shows_how_to_see_more() -> None:
    code, message = explain(KeyError("x"))
    assert code is Exit.FAILED
    assert "a fault of Strop itself: KeyError" in message
    assert "--debug" in message


def test_a_message_cannot_steer_the_terminal() -> None:
    _, message = explain(ModelServerError("\x1b[31mred"))
    assert "\x1b" not in message
