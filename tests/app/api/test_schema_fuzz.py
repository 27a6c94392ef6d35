"""Whatever the schema allows or forbids: no fault, and no answer that it leaves out."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi import checks as openapi_checks

from app.main import create_app
from tests.support.served import served
from tests.support.service import RoleModel, call, parse_events, settings_for

EXAMPLES = 5
"""Of each kind, for each operation; `schemathesis run` by hand tries thousands."""
_PLAIN: Any = checks
_OPENAPI: Any = openapi_checks
CHECKS: list[Any] = [
    _PLAIN.not_a_server_error,
    _OPENAPI.status_code_conformance,
    _OPENAPI.content_type_conformance,
    _OPENAPI.response_headers_conformance,
    _OPENAPI.response_schema_conformance,
]
Operation = Any
Case = Any
Cases = SearchStrategy[Any]
"""What Schemathesis leaves partly untyped."""
quick = settings(
    max_examples=EXAMPLES,
    database=None,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@dataclass(frozen=True)
class Api:
    """A server with something in it."""

    url: str
    headers: Mapping[str, str]
    known: Mapping[str, str]
    """Ids by the names that paths give them."""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    home = tmp_path_factory.mktemp("home")
    model = RoleModel(call("write_file", path="a.txt", content="x"), call("answer", text="42"))
    application = create_app(settings_for(home, rate_limit=0), model=model)
    with served(application) as running, httpx.Client(base_url=running.url, timeout=60) as client:
        made = client.post("api/v1/keys", json={"name": "fuzz", "scopes": ["admin"]}).json()
        client.headers["Authorization"] = f"Bearer {made['key']}"
        task = client.post("api/v1/tasks", json={"instruction": "write it down"}).json()
        events = client.get(f"api/v1/tasks/{task['id']}/events").text
        assert parse_events(events)[-1]["event"] == "end"
        known = {"task_id": task["id"], "name": "default"}
        yield Api(running.url, dict(client.headers), known)


# Schemathesis draws some of what the schema forbids from `random`.
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")
def test_no_request_brings_a_fault_or_an_answer_that_the_schema_does_not_know(
    api: Api, subtests: pytest.Subtests
) -> None:
    schema: Any = schemathesis.openapi.from_url(f"{api.url}openapi.json")
    tried = 0
    for found in schema.get_all_operations():
        operation: Operation = found.ok()
        tried += 1
        for cases in _kinds_of(operation, api.known):
            with subtests.test(operation.label):
                _try(cases, api)
    assert tried > 30


def _kinds_of(operation: Operation, known: Mapping[str, str]) -> list[Cases]:
    """Return cases that the schema allows, that it forbids, and that name what is there."""
    names = {parameter.name for parameter in operation.path_parameters}
    given_ids = {name: known[name] for name in names if name in known}
    kinds: list[Cases] = [operation.as_strategy(GenerationMode.POSITIVE)]
    if given_ids and len(given_ids) == len(names):
        kinds.append(operation.as_strategy(path_parameters=given_ids))
    takes = (operation.body, operation.query, operation.headers)
    if any(list(place) for place in takes):
        kinds.append(operation.as_strategy(GenerationMode.NEGATIVE))
    return kinds


def _try(cases: Cases, api: Api) -> None:
    @quick
    @given(case=cases)
    def answered(case: Case) -> None:
        case.call_and_validate(checks=CHECKS, headers=dict(api.headers), timeout=20)

    answered()
