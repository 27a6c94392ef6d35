"""How a command ends.

CliError            a command cannot go on; carries the exit code and a sentence for people
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes that scripts may rely on."""

    DONE = 0
    FAILED = 1
    """The task failed."""
    WRONG_USE = 2
    MISSING = 3
    """Something needed is not here; the message names it."""
    BUDGET = 4
    INTERRUPTED = 130


class CliError(Exception):
    """A command cannot go on."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code
