from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.secrets import Blot, BlotStream, SecretMissingError, resolve

SECRET = st.text(st.characters(codec="ascii", exclude_characters="\0*"), min_size=6, max_size=12)


def test_a_secret_is_read_from_the_environment_or_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EXAMPLE_TOKEN", "from-the-environment")
    (tmp_path / "token").write_text("from-a-file\n")
    references = {"A": "env:EXAMPLE_TOKEN", "B": f"file:{tmp_path}/token"}
    assert resolve(references) == {"A": "from-the-environment", "B": "from-a-file"}


@pytest.mark.parametrize("reference", ["env:NOT_SET_ANYWHERE", "file:/no/such/file", "plain"])
def test_a_missing_secret_names_the_reference(reference: str) -> None:
    with pytest.raises(SecretMissingError, match=reference):
        resolve({"TOKEN": reference})


def test_a_secret_too_short_to_be_blotted_out_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_TOKEN", "short")
    with pytest.raises(SecretMissingError, match="fewer than 6 bytes") as caught:
        resolve({"TOKEN": "env:EXAMPLE_TOKEN"})
    assert "'short'" not in str(caught.value)


@given(secret=SECRET, before=st.binary(), after=st.binary(), cuts=st.lists(st.integers(1, 9)))
def test_a_secret_is_blotted_out_however_it_is_cut(
    secret: str, before: bytes, after: bytes, cuts: list[int]
) -> None:
    text = before + secret.encode() + after
    stream = BlotStream(Blot({"TOKEN": secret}))
    shown, left = b"", text
    for cut in cuts:
        shown += stream.feed(left[:cut])
        left = left[cut:]
    shown += stream.feed(left) + stream.end()
    assert secret.encode() not in shown
    assert len(shown) == len(text)


@given(data=st.binary(), secret=SECRET)
def test_what_holds_no_secret_is_left_alone(data: bytes, secret: str) -> None:
    stream = BlotStream(Blot({"TOKEN": secret}))
    if secret.encode() not in data:
        assert stream.feed(data) + stream.end() == data
