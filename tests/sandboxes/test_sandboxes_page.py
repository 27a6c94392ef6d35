"""The page about sandboxes says what the code says; a stale table is worse than none."""

import re
from pathlib import Path

from benchmarks.sandbox_exam import described, filled
from sandboxes.base import discover
from sandboxes.check import all_checks, parts

PAGE = (Path(__file__).parents[2] / "docs" / "sandboxes.md").read_text(encoding="utf-8")
TELL = "type: .venv/bin/python -m benchmarks.sandbox_exam"


def between(marker: str) -> str:
    found = re.search(rf"<!-- {marker} -->\n(.*?)\n<!-- /{marker} -->", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_every_backend_is_described_in_its_own_words() -> None:
    assert between("backends") == described(), f"{TELL} --texts"


def test_the_table_has_every_check_of_the_exam_and_every_backend() -> None:
    rows = [line.strip("| ").split(" | ") for line in between("exam").splitlines() if "|" in line]
    titles = {f"**{title}**" for title in parts()}
    named = [row[0] for row in rows[2:] if row[0].strip(" |") not in titles]
    assert named == [check.name for check in all_checks()], TELL
    assert rows[0] == sorted(discover()), TELL


def test_the_page_claims_no_more_than_the_table_shows() -> None:
    rows = [line.split(" | ") for line in between("exam").splitlines() if line.startswith("| ")]
    place = rows[0].index("bubblewrap")
    told = {row[place].strip(" |") for row in rows[2:] if len(row) > place}
    assert told <= {"held", ""}, "the default backend holds all of it, or the page must say so"
    attacks = sum(check.group == "containment" for check in all_checks())
    assert attacks > 100, "the page says more than a hundred"


def test_filling_replaces_only_what_is_between_the_marks() -> None:
    page = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n<!-- y -->\n<!-- /y -->\n"
    once = filled(page, "x", r"new \1")
    assert once == "a\n<!-- x -->\nnew \\1\n<!-- /x -->\nb\n<!-- y -->\n<!-- /y -->\n"
    assert filled(once, "x", r"new \1") == once
