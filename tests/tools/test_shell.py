from pathlib import Path

import pytest

from tests.tools.conftest import MakeToolbox
from tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio


async def test_a_command_runs_in_the_workspace_and_gives_what_it_printed(
    toolbox: Toolbox, workspace: Path
) -> None:
    (workspace / "a.csv").write_text("x,y\n1,2\n")

    outcome = await toolbox.call("shell", {"command": "wc -l < a.csv; echo oops >&2"})

    assert outcome.ok
    assert outcome.text.split() == ["2", "[stderr]", "oops"]
    assert not outcome.certain
    assert outcome.untrusted


async def test_a_silent_command_says_so(toolbox: Toolbox) -> None:
    outcome = await toolbox.call("shell", {"command": "true"})

    assert (outcome.ok, outcome.text) == (True, "(the command printed nothing)")


async def test_a_failing_command_tells_its_status_and_output(toolbox: Toolbox) -> None:
    outcome = await toolbox.call("shell", {"command": "echo before; cat missing.csv"})

    assert (outcome.ok, outcome.error_class) == (False, "not_found")
    assert "exit status 1" in outcome.text
    assert "before" in outcome.text
    assert "missing.csv" in outcome.text


async def test_an_unknown_command_is_not_found(toolbox: Toolbox) -> None:
    outcome = await toolbox.call("shell", {"command": "frobnicate --all"})

    assert outcome.error_class == "not_found"


async def test_a_command_that_hangs_is_killed_and_is_a_timeout(toolbox: Toolbox) -> None:
    outcome = await toolbox.call("shell", {"command": "echo begun; sleep 60", "timeout_s": 0.3})

    assert outcome.error_class == "timeout"
    assert "longer than 0.3 s" in outcome.text
    assert "begun" in outcome.text


async def test_the_sandbox_limit_is_the_upper_bound_of_the_timeout(
    make_toolbox: MakeToolbox,
) -> None:
    outcome = await make_toolbox(wall_s=0.3).call("shell", {"command": "sleep 60", "timeout_s": 99})

    assert outcome.error_class == "timeout"


async def test_a_command_too_long_for_the_system_is_refused(toolbox: Toolbox) -> None:
    outcome = await toolbox.call("shell", {"command": "echo " + "é" * 60_000})

    assert outcome.error_class == "bad_arguments"
    assert "write_file" in outcome.text


async def test_long_output_keeps_head_and_tail_and_tells_what_to_do(
    make_toolbox: MakeToolbox,
) -> None:
    outcome = await make_toolbox(output_chars=500).call("shell", {"command": "seq 1 10000"})

    assert outcome.ok
    assert outcome.truncated
    assert len(outcome.text) <= 500
    assert outcome.text.startswith("1\n2\n")
    assert outcome.text.endswith("10000")
    assert "characters cut; write to a file" in outcome.text


async def test_output_that_is_no_text_is_shown_without_harm(toolbox: Toolbox) -> None:
    outcome = await toolbox.call("shell", {"command": r"printf 'a\000b\377c\033[1mbold'"})

    assert outcome.ok
    assert outcome.text == "a\u2400b\ufffdcbold"
