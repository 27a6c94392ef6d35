"""What came from outside can neither steer a terminal nor break a table."""

import json
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from app.cli.text import clean, one_line, plain, say_json, table
from models.base import ModelInfo


@given(st.text())
def test_cleaned_text_holds_nothing_that_steers_a_terminal(text: str) -> None:
    assert {unicodedata.category(char) for char in clean(text)} & {"Cf", "Cs"} == set()
    assert set(clean(text)) & {"\x1b", "\r", "\x07", "\x00", "\x9b"} == set()


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs"])))
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


@given(st.text(), st.integers(min_value=2, max_value=50))
def test_one_line_is_one_line_no_longer_than_asked(text: str, width: int) -> None:
    line = one_line(text, width)
    assert len(line) <= width
    assert "\n" not in line


def test_columns_line_up_and_nothing_trails() -> None:
    shown = table(("id", "text"), [("a", "first"), ("long-id", "with\nbreak")])
    assert shown == snapshot("id       text\na        first\nlong-id  with break")


def test_values_become_plain_json() -> None:
    card = ModelInfo(name="m", model_id="p/m")
    value = plain({"card": card, "many": (card,), "text": "x", "none": None})
    assert json.loads(json.dumps(value))["many"][0]["name"] == "m"


def test_a_time_in_a_mapping_is_written_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"expires_at": datetime(2026, 1, 2, tzinfo=UTC)})
    assert json.loads(capsys.readouterr().out) == {"expires_at": "2026-01-02 00:00:00+00:00"}
