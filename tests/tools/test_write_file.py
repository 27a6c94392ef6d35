from pathlib import Path

import pytest

from tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio


async def test_a_file_is_written_with_its_folders_byte_for_byte(
    toolbox: Toolbox, workspace: Path
) -> None:
    outcome = await toolbox.call("write_file", {"path": "a/b/c.txt", "content": "é\r\n x\n"})

    assert (outcome.ok, outcome.text) == (True, "Wrote a/b/c.txt: 7 bytes, 2 lines.")
    assert (workspace / "a/b/c.txt").read_bytes() == "é\r\n x\n".encode()


async def test_writing_again_replaces_the_file(toolbox: Toolbox, workspace: Path) -> None:
    (workspace / "a.txt").write_text("a much longer text")

    await toolbox.call("write_file", {"path": "a.txt", "content": "b"})

    assert (workspace / "a.txt").read_text() == "b"


async def test_a_folder_is_not_overwritten(toolbox: Toolbox, workspace: Path) -> None:
    (workspace / "a").mkdir()

    outcome = await toolbox.call("write_file", {"path": "a", "content": "b"})

    assert outcome.error_class == "precondition"
    assert "is a folder" in outcome.text


async def test_nothing_is_written_outside_the_workspace(toolbox: Toolbox, workspace: Path) -> None:
    outcome = await toolbox.call("write_file", {"path": "../a.txt", "content": "b"})

    assert outcome.error_class == "policy"
    assert not (workspace.parent / "a.txt").exists()
