import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.output import cap, clean, decode


@given(st.text(max_size=3000), st.integers(min_value=0, max_value=3000))
def test_capped_text_is_never_longer_than_the_limit(text: str, limit: int) -> None:
    shown, cut = cap(text, limit, "see the file")

    assert len(shown) <= limit
    assert cut == (len(text) > limit)
    if not cut:
        assert shown == text


@given(st.text(min_size=600, max_size=3000), st.integers(min_value=150, max_value=599))
def test_capped_text_keeps_head_and_tail_and_counts_what_was_cut(text: str, limit: int) -> None:
    shown, _ = cap(text, limit, "see the file")

    head, rest = shown.split("\n[... ", 1) if text.count("\n[... ") == 0 else ("", "")
    if head:
        note, tail = rest.split(" ...]\n", 1)
        assert text.startswith(head)
        assert text.endswith(tail)
        assert note == (
            f"{len(text) - len(head) - len(tail)} of {len(text)} characters cut; see the file"
        )


@given(st.binary(max_size=500))
def test_any_bytes_decode_to_text_that_can_be_stored_anywhere(raw: bytes) -> None:
    text = decode(raw)

    assert "\0" not in text
    assert text.encode("utf-8").decode("utf-8") == text


@given(st.text(alphabet=st.characters(exclude_characters="\0\x1b", exclude_categories=["Cs"])))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07after", "after"),
        (b"a\0b", "a\u2400b"),
        (b"caf\xe9", "caf\ufffd"),
    ],
)
def test_terminal_codes_and_nul_bytes_are_taken_out(raw: bytes, text: str) -> None:
    assert decode(raw) == text
