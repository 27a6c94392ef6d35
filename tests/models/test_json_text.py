import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.base import BadReplyError
from models.structured import parse_json

SCALARS = st.none() | st.booleans() | st.integers() | st.text()
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TRICKY = st.sampled_from(
    [
        "https://a.b/c#d",
        "a // b",
        "/* no */",
        "# x",
        "```",
        "```json\n{}\n```",
        "</think>",
        "}",
        '"',
        "\\",
        ",]",
    ]
)
VALUES = st.recursive(
    SCALARS | NUMBERS | TRICKY,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | TRICKY, inner, max_size=4)
    ),
    max_leaves=12,
)
BRACKETED = st.dictionaries(st.text(max_size=5) | TRICKY, VALUES, max_size=4) | st.lists(
    VALUES, max_size=4
)
PROSE = st.text(st.characters(exclude_characters="`{}[]<", exclude_categories=["Cs"]), max_size=30)
INDENTS = st.sampled_from([None, 2])


@given(value=VALUES, indent=INDENTS)
def test_any_json_value_alone_comes_back(value: Any, indent: int | None):
    assert parse_json(f"\n {json.dumps(value, indent=indent)} \n") == value


@given(value=VALUES, before=PROSE, after=PROSE, indent=INDENTS, tag=st.sampled_from(["json", ""]))
def test_any_json_value_in_a_fence_comes_back(
    value: Any, before: str, after: str, indent: int | None, tag: str
):
    body = json.dumps(value, indent=indent, ensure_ascii=False)
    assert parse_json(f"{before}\n```{tag}\n{body}\n```\n{after}") == value


@given(value=BRACKETED, before=PROSE, after=PROSE, indent=INDENTS)
def test_any_object_or_array_in_prose_comes_back(
    value: Any, before: str, after: str, indent: int | None
):
    body = json.dumps(value, indent=indent, ensure_ascii=False)
    assert parse_json(f"{before} {body} {after}") == value


@given(value=st.dictionaries(st.text(max_size=5) | TRICKY, VALUES, min_size=1, max_size=4))
def test_a_comma_after_the_last_value_is_forgiven(value: dict[str, Any]):
    assert parse_json(json.dumps(value)[:-1] + " ,\n}") == value


@given(text=st.text(st.sampled_from('{}[]",:1a\\ \n`'), max_size=60))
def test_any_text_gives_a_value_or_a_bad_reply(text: str):
    with suppress(BadReplyError):
        parse_json(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('See [1] and {x}: {"a": 1}.', {"a": 1}),
        ('{"a": 1}\nNote: see [2].', {"a": 1}),
        ('<think>maybe {"a": 0}?</think>\n{"a": 1}', {"a": 1}),
        ('maybe {"a": 0}?\n</think>\n\n{"a": 1}', {"a": 1}),
        ('Example:\n```json\n{"a": 0}\n```\nAnswer:\n```json\n{"a": 1}\n```', {"a": 1}),
        ('```python\nprint({})\n```\n```json\n{"a": 1}\n```', {"a": 1}),
        ('```json {"a": 1}```', {"a": 1}),
        (
            '{"url": "https://x.y/z#k", "note": "a // b"}',
            {"url": "https://x.y/z#k", "note": "a // b"},
        ),
        ('{"text": "line one\nline two"}', {"text": "line one\nline two"}),
        ("[1, 2, [3, ], ]", [1, 2, [3]]),
        ('The list is [{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
        ("42", 42),
    ],
)
def test_answers_as_models_write_them_are_read(text: str, value: object):
    assert parse_json(text) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("I cannot do that.", "I cannot do that"),
        ('{"plan": [{"step": 1}, {"st', "none that can be read"),
        ("[,]", "none"),
        ("[1,,]", "none"),
        ('{"a": NaN}', "none"),
        ("{'a': {\"b\": 1}}", "none"),
        ("[" * 100_000, "none"),
        ("{" * 100_000, "none"),
        ('{"a":' * 50_000, "none"),
        ("1" * 5000, "none"),
        ("x" * 500_001, "at most"),
        ("\n" * 400_000 + "</think>x", "none"),
        ('```\n{"' * 60_000, "none"),
        ('{"a": [' * 60_000, "none"),
        ("{x" * 200_000, "none"),
        ('["' * 200_000, "none"),
    ],
)
def test_what_is_no_json_is_told_with_what_came(text: str, words: str):
    with pytest.raises(BadReplyError, match=words):
        parse_json(text)
