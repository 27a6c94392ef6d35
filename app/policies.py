"""Find the policies for approvals that hold for a task."""

from collections.abc import Callable

from pydantic import ValidationError
from sqlalchemy import Connection

from agents.approvals import Policy
from app.db.records import TaskRow
from models.messages import JsonObject

_ASK_ALWAYS = Policy(default="ask")
"""For rules that cannot be read: whoever wrote them wanted to be careful."""

NamespaceRules = Callable[[Connection, str], JsonObject | None]
"""Gives the rules of a namespace, as they are stored."""


def no_rules(_connection: Connection, _namespace: str) -> JsonObject | None:
    """Give no rules: for where namespaces have none."""
    return None


def policies_of(
    connection: Connection, task: TaskRow, operator: Policy, of_namespace: NamespaceRules
) -> tuple[Policy, ...]:
    """Return the policies of the operator, the task's namespace and the task itself."""
    stored = (of_namespace(connection, task.namespace), task.approval)
    return (operator, *(_read(rules) for rules in stored if rules))


def _read(rules: JsonObject) -> Policy:
    try:
        return Policy.model_validate(rules)
    except ValidationError:
        return _ASK_ALWAYS
