from pathlib import Path

import pytest

from memory.records import ErrorClass
from tests.tools.conftest import MakeToolbox
from tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio


async def test_a_short_file_is_returned_as_it_is_and_for_certain(
    toolbox: Toolbox, workspace: Path
) -> None:
    (workspace / "a.txt").write_bytes(b"one\r\n\ttwo\nthree")

    outcome = await toolbox.call("read_file", {"path": "/work/a.txt"})

    assert (outcome.ok, outcome.text) == (True, "one\r\n\ttwo\nthree")
    assert outcome.certain
    assert not outcome.truncated


async def test_a_part_is_returned_with_where_to_go_on(toolbox: Toolbox, workspace: Path) -> None:
    (workspace / "a.txt").write_text("".join(f"line {n}\n" for n in range(1, 101)))

    outcome = await toolbox.call("read_file", {"path": "a.txt", "start_line": 98, "lines": 2})

    assert outcome.text == "line 98\nline 99\n[lines 98-99; go on with start_line=100]"
    assert outcome.truncated


async def test_going_on_reads_every_line_once(make_toolbox: MakeToolbox, workspace: Path) -> None:
    lines = [f"{n} " + "x" * (n % 90) + "\n" for n in range(400)]
    (workspace / "a.txt").write_text("".join(lines))
    toolbox = make_toolbox(output_chars=2000)
    read: list[str] = []
    start = 1

    while True:
        outcome = await toolbox.call("read_file", {"path": "a.txt", "start_line": start})
        assert len(outcome.text) <= 2000
        assert outcome.data
        count = outcome.data["lines"]
        read += outcome.text.splitlines(keepends=True)[:count]
        start += count
        if not outcome.truncated:
            break

    assert read == lines


async def test_a_line_far_into_a_large_file_is_found(toolbox: Toolbox, workspace: Path) -> None:
    (workspace / "big.csv").write_text("".join(f"{n},{'v' * 40}\n" for n in range(100_000)))

    outcome = await toolbox.call("read_file", {"path": "big.csv", "start_line": 90_001, "lines": 1})

    assert outcome.text.startswith("90000,vvv")


async def test_a_line_longer_than_the_cap_is_cut_with_advice(
    make_toolbox: MakeToolbox, workspace: Path
) -> None:
    (workspace / "a.json").write_text("[" + "1," * 50_000 + "1]")

    outcome = await make_toolbox(output_chars=1000).call("read_file", {"path": "a.json"})

    assert outcome.truncated
    assert len(outcome.text) <= 1000
    assert "use `python` for such long lines" in outcome.text


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG image"),
        (b"PK\x03\x04rest", "xlsx"),
        (b"ab\0cd", "NUL bytes"),
    ],
)
async def test_a_binary_file_is_refused_with_what_it_is(
    toolbox: Toolbox, workspace: Path, raw: bytes, word: str
) -> None:
    (workspace / "file").write_bytes(raw)

    outcome = await toolbox.call("read_file", {"path": "file"})

    assert outcome.error_class == "precondition"
    assert word in outcome.text


async def test_bytes_that_are_not_utf8_are_shown_with_a_note(
    toolbox: Toolbox, workspace: Path
) -> None:
    (workspace / "a.txt").write_bytes("naïve\n".encode("cp1252"))

    outcome = await toolbox.call("read_file", {"path": "a.txt"})

    assert outcome.text.startswith("na\ufffdve\n[not UTF-8")


async def test_utf16_and_byte_order_marks_are_read(toolbox: Toolbox, workspace: Path) -> None:
    (workspace / "wide.csv").write_bytes("a;é\n1;2\n".encode("utf-16"))
    (workspace / "mark.csv").write_bytes("a;é\n".encode("utf-8-sig"))

    wide = await toolbox.call("read_file", {"path": "wide.csv"})
    mark = await toolbox.call("read_file", {"path": "mark.csv"})

    assert wide.text == "a;é\n1;2\n[the file is UTF-16]"
    assert mark.text == "a;é\n"


async def test_an_empty_file_is_said_to_be_empty(toolbox: Toolbox, workspace: Path) -> None:
    (workspace / "a.txt").write_bytes(b"")

    assert (await toolbox.call("read_file", {"path": "a.txt"})).text == "(the file is empty)"


@pytest.mark.parametrize(
    ("path", "error_class", "word"),
    [
        ("Data.CSV", "not_found", "did you mean 'data.csv'"),
        ("dat.csv", "not_found", "did you mean 'data.csv'"),
        ("quite/different", "not_found", "the workspace holds: data.csv"),
        ("folder", "precondition", "is a folder"),
        ("../secret", "policy", "climbs out"),
        ("/etc/passwd", "policy", "outside the workspace"),
        ("link", "policy", "leaves the workspace"),
    ],
)
async def test_a_path_that_cannot_be_read_says_why_and_what_else(
    toolbox: Toolbox, workspace: Path, path: str, error_class: ErrorClass, word: str
) -> None:
    (workspace / "data.csv").write_text("a\n")
    (workspace / "folder").mkdir()
    (workspace / "link").symlink_to("/etc/passwd")

    outcome = await toolbox.call("read_file", {"path": path})

    assert outcome.error_class == error_class
    assert word in outcome.text or path == "link"


async def test_a_line_after_the_end_says_how_many_there_are(
    toolbox: Toolbox, workspace: Path
) -> None:
    (workspace / "a.txt").write_text("1\n2\n3\n")

    outcome = await toolbox.call("read_file", {"path": "a.txt", "start_line": 9})

    assert outcome.error_class == "precondition"
    assert "has 3 lines" in outcome.text
