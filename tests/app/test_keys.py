"""How keys look, and that what is kept of one proves it and gives nothing away."""

from hypothesis import given
from hypothesis import strategies as st

from app.keys import Token, hashed, matches, new_token, parse


@given(st.text(max_size=100))
def test_only_text_of_the_right_form_is_a_key(text: str) -> None:
    token = parse(text)
    assert token is None or str(token) == text


@given(st.binary(min_size=6, max_size=6), st.binary(min_size=32, max_size=32))
def test_a_key_is_read_back_as_it_was_written(key_id: bytes, secret: bytes) -> None:
    token = Token(key_id.hex(), secret.hex())
    assert parse(str(token)) == token


def test_only_the_key_that_was_hashed_matches() -> None:
    token, other = new_token(), new_token()
    kept = hashed(token)
    assert matches(token, kept)
    assert not matches(other, kept)
    assert not matches(Token(token.key_id, other.secret), kept)
    assert not matches(token, None)


def test_what_is_kept_and_what_is_logged_hold_no_secret() -> None:
    token = new_token()
    assert token.secret not in hashed(token)
    assert token.secret not in repr(token)
    assert hashed(token) != hashed(token)
