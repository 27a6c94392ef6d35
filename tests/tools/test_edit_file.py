from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from tools.base import ToolError
from tools.edit_file import replaced
from tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio
TEXTS = st.text(alphabet="ab\n\ré", max_size=30)


@given(TEXTS, st.text(alphabet="abé\n", min_size=1, max_size=4), TEXTS, TEXTS)
def test_the_only_occurrence_is_replaced_and_the_rest_stays(
    before: str, old: str, after: str, new: str
) -> None:
    text = before + old + after
    assume(text.count(old) == 1 and old != new)

    assert replaced(text, old, new) == (text.replace(old, new), 1)


@given(TEXTS, st.text(alphabet="abé", min_size=1, max_size=3), TEXTS)
def test_all_occurrences_are_replaced_or_none(text: str, old: str, new: str) -> None:
    assume(old != new)
    count = text.count(old)
    if count == 0:
        with pytest.raises(ToolError, match="not in the file"):
            replaced(text, old, new, replace_all=True)
        return

    assert replaced(text, old, new, replace_all=True) == (text.replace(old, new), count)


async def test_an_edit_keeps_every_other_byte(toolbox: Toolbox, workspace: Path) -> None:
    raw = b"\xef\xbb\xbfa = 1\r\nname = caf\xe9\r\nb = 2\r\n"
    (workspace / "a.ini").write_bytes(raw)

    outcome = await toolbox.call(
        "edit_file", {"path": "a.ini", "old": "1\nname", "new": "3\nc = 4\nname"}
    )

    assert outcome.ok, outcome.text
    assert outcome.text == "Replaced 1 occurrence in a.ini."
    expected = raw.replace(b"1\r\nname", b"3\r\nc = 4\r\nname")
    assert (workspace / "a.ini").read_bytes() == expected


async def test_text_that_is_not_there_is_answered_with_the_nearest_lines(
    toolbox: Toolbox, workspace: Path
) -> None:
    (workspace / "a.py").write_text("import os\n\ndef total(rows):\n    return sum(rows)\n")

    outcome = await toolbox.call(
        "edit_file", {"path": "a.py", "old": "def total(row):", "new": "def total():"}
    )

    assert outcome.error_class == "precondition"
    assert outcome.text == snapshot("""\
`old` is not in the file. The nearest lines:
3: def total(rows):\
""")


async def test_text_that_occurs_twice_is_left_alone_with_its_lines(
    toolbox: Toolbox, workspace: Path
) -> None:
    (workspace / "a.txt").write_text("x\ny\nx\n")

    outcome = await toolbox.call("edit_file", {"path": "a.txt", "old": "x", "new": "z"})

    assert outcome.error_class == "precondition"
    assert outcome.text == snapshot(
        "`old` occurs 2 times, at lines 1, 3; add neighbouring lines to it, or set `replace_all`"
    )
    assert (workspace / "a.txt").read_text() == "x\ny\nx\n"


@pytest.mark.parametrize(
    ("path", "old", "error_class"),
    [
        ("a.txt", "new", "bad_arguments"),
        ("no.txt", "x", "not_found"),
        ("b.bin", "x", "precondition"),
    ],
)
async def test_an_edit_that_makes_no_sense_is_refused(
    toolbox: Toolbox, workspace: Path, path: str, old: str, error_class: str
) -> None:
    (workspace / "a.txt").write_text("new")
    (workspace / "b.bin").write_bytes(b"x\0")

    outcome = await toolbox.call("edit_file", {"path": path, "old": old, "new": "new"})

    assert outcome.error_class == error_class
