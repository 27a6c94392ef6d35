"""Say what went wrong in a sentence, and with which exit code a command ends."""

from app.cli.exits import CliError, Exit
from app.cli.text import clean
from app.errors import AppError, ConflictError, SettingsError, UnavailableError
from memory.base import EntryNotFoundError, MemoryStoreError
from models.base import (
    ModelAuthError,
    ModelError,
    ModelRequestError,
    TransientModelError,
    UnknownModelError,
)
from sandboxes.base import PolicyRefusedError, SandboxError, SandboxUnavailableError

_WRONG_USE = (SettingsError, UnknownModelError, EntryNotFoundError)
_MISSING = (
    UnavailableError,
    TransientModelError,
    ModelAuthError,
    SandboxUnavailableError,
    PolicyRefusedError,
)
_FAILED = (ConflictError, ModelError, ModelRequestError, SandboxError, MemoryStoreError, OSError)


def explain(error: Exception) -> tuple[Exit, str]:
    """Return the exit code and the sentence of an error."""
    if isinstance(error, CliError):
        return error.code, str(error)
    for kinds, code in ((_WRONG_USE, Exit.WRONG_USE), (_MISSING, Exit.MISSING)):
        if isinstance(error, kinds):
            return code, clean(str(error))
    if isinstance(error, _FAILED):
        return Exit.FAILED, clean(str(error))
    if isinstance(error, AppError):
        return Exit.WRONG_USE, clean(str(error))
    name = type(error).__name__
    return Exit.FAILED, (
        f"a fault of Strop itself: {name}: {clean(str(error))}\n"
        "`strop --debug ...` shows where it happened."
    )
