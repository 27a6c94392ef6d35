"""Read what a command line said as the API would."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from app.cli.exits import CliError, Exit
from app.schemas import Shape

S = TypeVar("S", bound=Shape)


def read_shape(shape: type[S], fields: Mapping[str, Any]) -> S:
    """Return the fields as a request.

    Raises:
        CliError: the API would refuse them.
    """
    try:
        return shape.model_validate(fields)
    except ValidationError as error:
        wrong = "; ".join(item["msg"] for item in error.errors())
        raise CliError(Exit.WRONG_USE, wrong) from None
