import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.family import family_of


@pytest.mark.parametrize(
    ("instruction", "files", "family"),
    [
        ("What is the total of the amount column?", ["sales.csv"], "compute csv"),
        ("Sum the amounts per region", ["a.csv", "B.CSV"], "compute csv"),
        ("Please summarise this report", ["r.pdf"], "summarize pdf"),
        ("How many rows have no price?", ["a.csv", "b.json"], "compute csv+json"),
        ("Which region sold most?", ["a.csv"], "find csv"),
        ("Draw a bar chart", [], "plot"),
        ("hello", ["README"], "other file"),
        ("", [], "other"),
    ],
)
def test_the_kind_is_the_verb_and_the_files(
    instruction: str, files: list[str], family: str
) -> None:
    assert family_of(instruction, files) == family


@given(st.text(max_size=300), st.lists(st.text(max_size=40), max_size=5))
def test_any_text_has_a_kind_that_does_not_depend_on_the_order_of_files(
    instruction: str, files: list[str]
) -> None:
    family = family_of(instruction, files)
    assert 0 < len(family) <= 200
    assert family == family_of(instruction, reversed(files))
