from hypothesis import given
from hypothesis import strategies as st

from memory.identity import content_hash, may_merge, merge_key, normalize
from memory.ids import new_id
from memory.records import ArgumentRef, Scope, Shortcut, ShortcutArgument, ShortcutStep, Tip

texts = st.text(min_size=8, max_size=60)


@given(text=texts, padding=st.text(" \n\t", max_size=3))
def test_form_does_not_make_another_tip(text: str, padding: str) -> None:
    tip = Tip(text=text)
    assert content_hash(tip) == content_hash(Tip(text=padding + text + padding))


@given(one=texts, other=texts)
def test_other_words_make_another_tip(one: str, other: str) -> None:
    same = normalize(one) == normalize(other)
    assert (content_hash(Tip(text=one)) == content_hash(Tip(text=other))) == same


def test_scope_and_polarity_make_another_tip() -> None:
    tip = Tip(text="Sort before merging.")
    others = [
        tip.model_copy(update={"polarity": "avoid"}),
        tip.model_copy(update={"scope": Scope(level="tool", key="sql")}),
    ]
    for other in others:
        assert content_hash(other) != content_hash(tip)
        assert merge_key(other) != merge_key(tip)


@given(
    names=st.lists(
        st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True), min_size=2, max_size=2, unique=True
    )
)
def test_names_of_arguments_do_not_make_another_shortcut(names: list[str]) -> None:
    def build(first: str, second: str) -> Shortcut:
        step = ShortcutStep(
            tool="copy", arguments={"a": ArgumentRef(ref=first), "b": ArgumentRef(ref=second)}
        )
        arguments = (ShortcutArgument(name=first), ShortcutArgument(name=second))
        return Shortcut(
            name=f"copy_{first}", description="Copy a file.", arguments=arguments, steps=(step,)
        )

    assert content_hash(build(*names)) == content_hash(build("x", "y"))
    assert content_hash(build(names[0], names[0])) != content_hash(build("x", "y"))


@given(text=texts)
def test_a_text_may_merge_with_itself(text: str) -> None:
    assert may_merge(text, f" {text} ")


def test_numbers_and_negations_keep_texts_apart() -> None:
    assert not may_merge("Port is 8080.", "Port is 8081.")
    assert not may_merge("Do quote it.", "Do not quote it.")
    assert not may_merge("It can be cut.", "It can't be cut.")
    assert may_merge("Use port 8080, please", "please use port 8080")


def test_ids_are_unique_and_sort_by_time() -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(len(entry_id) == 26 for entry_id in ids)
    assert [entry_id[:10] for entry_id in ids] == sorted(entry_id[:10] for entry_id in ids)
