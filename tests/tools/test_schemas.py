# ruff: noqa: E501 - the texts are as long as models see them
"""What models are told about the tools, and what they are told when they err."""

import json
from pathlib import Path

import pytest
from inline_snapshot import external_file, snapshot

from tools.toolbox import Toolbox

SNAPSHOTS = Path(__file__).parent / "snapshots"
pytestmark = pytest.mark.anyio


async def test_an_unknown_tool_is_not_found_with_near_names(toolbox: Toolbox) -> None:
    outcome = await toolbox.call("read_files", {"path": "a"})

    assert outcome.error_class == "not_found"
    assert outcome.text == snapshot(
        "there is no tool 'read_files'; did you mean read_file or edit_file or search_files? There are: answer, ask_human, calculate, edit_file, fetch_url, list_files, python, read_file, search_files, shell, write_file"
    )
    assert not outcome.untrusted


async def test_wrong_arguments_are_explained_field_by_field(toolbox: Toolbox) -> None:
    outcome = await toolbox.call("read_file", {"pth": "a", "start_line": 0, "lines": "many"})

    assert outcome.error_class == "bad_arguments"
    assert outcome.text == snapshot("""\
the arguments of `read_file` are wrong; it takes: path, start_line, lines
- path: required, but missing
- start_line: input should be greater than or equal to 1, got 0
- lines: input should be a valid integer, unable to parse string as an integer, got 'many'
- pth: no such field; did you mean path?\
""")


async def test_all_schemas_as_models_see_them(toolbox: Toolbox) -> None:
    shown = json.dumps([schema.model_dump() for schema in toolbox.schemas()], indent=1)
    assert f"{shown}\n" == external_file(str(SNAPSHOTS / "schemas.json"), format=".txt")
