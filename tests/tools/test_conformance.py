"""What holds for every tool there is, built in or added."""

from collections.abc import Mapping
from typing import Any

import pytest
from inline_snapshot import snapshot
from jsonschema import Draft202012Validator

from models.messages import JsonObject
from tools.base import AnyTool, discover
from tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio
TOOLS: Mapping[str, AnyTool] = discover()
NAMES = sorted(TOOLS)


def filled(name: str, text: str) -> JsonObject:
    """Arguments with `text` in every text field and the smallest value elsewhere."""
    schema = TOOLS[name].schema().parameters
    arguments: JsonObject = {}
    for field, described in schema["properties"].items():
        if described.get("type") == "string":
            arguments[field] = text
        elif described.get("type") == "array":
            arguments[field] = [text]
    return arguments


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_is_a_valid_json_schema_with_a_description_for_each_field(name: str) -> None:
    parameters = TOOLS[name].schema().parameters

    Draft202012Validator.check_schema(parameters)
    assert parameters["type"] == "object"
    assert parameters["additionalProperties"] is False
    assert all(field["description"] for field in parameters["properties"].values())


@pytest.mark.parametrize("name", NAMES)
def test_the_doc_says_what_it_does_what_comes_back_and_shows_an_example(name: str) -> None:
    doc = TOOLS[name].doc

    assert len(doc.split()) < 120
    assert "Returns " in doc
    assert "Example: {" in doc
    assert "Use it" in doc
    assert "\n    " not in doc


@pytest.mark.parametrize("name", NAMES)
async def test_an_unknown_field_is_a_bad_argument_named_in_the_text(
    name: str, toolbox: Toolbox
) -> None:
    outcome = await toolbox.call(name, {"surprise": 1})

    assert (outcome.ok, outcome.error_class) == (False, "bad_arguments")
    assert "surprise: no such field" in outcome.text


@pytest.mark.parametrize("name", NAMES)
async def test_a_wrong_type_in_every_field_is_a_bad_argument(name: str, toolbox: Toolbox) -> None:
    fields = TOOLS[name].schema().parameters["properties"]

    outcome = await toolbox.call(name, {field: {"a": [None]} for field in fields})

    assert (outcome.ok, outcome.error_class) == (False, "bad_arguments")
    assert all(f"- {field}" in outcome.text for field in fields)


@pytest.mark.parametrize("name", NAMES)
async def test_arguments_that_are_no_object_are_a_bad_argument(name: str, toolbox: Toolbox) -> None:
    no_objects: list[Any] = [[], "text", None, 3]
    for arguments in no_objects:
        outcome = await toolbox.call(name, arguments)
        assert outcome.error_class == "bad_arguments", arguments


@pytest.mark.parametrize("name", NAMES)
async def test_text_that_no_tool_can_use_is_a_bad_argument(name: str, toolbox: Toolbox) -> None:
    for text in ("a\0b", "\ud800", "x" * (2 << 20)):
        outcome = await toolbox.call(name, filled(name, text))
        assert (outcome.ok, outcome.error_class) == (False, "bad_arguments"), text[:10]
        assert len(outcome.text) < 3000


@pytest.mark.parametrize("name", NAMES)
async def test_odd_text_gives_a_result_or_a_typed_error_within_the_cap(
    name: str, toolbox: Toolbox
) -> None:
    for text in ("", "   ", "../../etc/passwd", "é\u202e\r\n\t'\"$(x)", "y" * 90_000):
        outcome = await toolbox.call(name, filled(name, text))
        assert outcome.ok == (outcome.error_class is None)
        assert outcome.text
        assert len(outcome.text) <= 8000
        assert outcome.error_class != "unknown" or name == "shell"


def test_what_each_tool_does_to_the_world() -> None:
    assert {name: TOOLS[name].effect for name in NAMES} == snapshot(
        {
            "answer": "none",
            "ask_human": "none",
            "calculate": "none",
            "edit_file": "at_most_once",
            "fetch_url": "none",
            "list_files": "none",
            "python": "at_most_once",
            "read_file": "none",
            "search_files": "none",
            "shell": "at_most_once",
            "write_file": "idempotent",
        }
    )
