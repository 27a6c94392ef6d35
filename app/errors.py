"""How a request or a start can fail; each class knows its HTTP status.

AppError                    a request cannot be done; the message is shown to the caller
├── InvalidInputError       422: a field is wrong; carries `fields`
├── NotFoundError           404: there is no such thing
├── ConflictError           409: the thing is in another state than the request needs
├── TooLargeError           413: more bytes than are taken
├── UnauthorizedError       401: no key, or one that is of no use
├── ForbiddenError          403: this caller may not drive this server
├── TooManyError            429: more than the key or namespace may; carries `retry_after_s`
└── UnavailableError        503: something the request needs is down; try again
SettingsError               a setting is wrong; the operator must act
Fenced                      control flow: another process owns the task now, or it was cancelled
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field."""

    field: str
    """Dotted path, such as `budget.usd`; empty for the body as a whole."""
    message: str


class AppError(Exception):
    """A request cannot be done; the message is shown to the caller."""

    status: ClassVar[int] = 500

    def __init__(self, message: str, *, fields: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.fields = tuple(fields)

    @property
    def headers(self) -> Mapping[str, str]:
        """What the response says beside the error."""
        return {}


class InvalidInputError(AppError):
    """What came is not what the field takes."""

    status = 422

    @classmethod
    def of(cls, field: str, message: str) -> "InvalidInputError":
        """Return the error of a single field."""
        return cls(f"{field}: {message}", fields=(FieldError(field, message),))


class NotFoundError(AppError):
    """There is no such thing."""

    status = 404


class ConflictError(AppError):
    """The thing is in another state than the request needs."""

    status = 409


class TooLargeError(AppError):
    """The request holds more bytes than are taken."""

    status = 413


class UnauthorizedError(AppError):
    """There is no key, or one that is of no use."""

    status = 401

    @property
    def headers(self) -> Mapping[str, str]:
        """How to say who one is."""
        return {"WWW-Authenticate": "Bearer"}


class TooManyError(AppError):
    """The key or its namespace has used up what it may."""

    status = 429

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = max(1, retry_after_s)

    @property
    def headers(self) -> Mapping[str, str]:
        """When to try again."""
        return {"Retry-After": str(self.retry_after_s)}


class ForbiddenError(AppError):
    """This caller may not drive this server."""

    status = 403


class UnavailableError(AppError):
    """Something that the request needs is down; trying again later may help."""

    status = 503


class SettingsError(Exception):
    """A setting is wrong; the message names it, what was expected and what came."""


class Fenced(BaseException):
    """Another process owns the task now, or it was cancelled: this one may write nothing more.

    No `except Exception` on the way may swallow it.
    """
