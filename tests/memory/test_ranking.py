from hypothesis import given
from hypothesis import strategies as st

from memory.ranking import diversify, fuse, is_withheld, overlap, scale

scores = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=2), st.floats(-1, 30, allow_nan=False), max_size=12
)
shares = st.floats(0, 1)


@given(scores=scores)
def test_scaling_keeps_the_order_between_0_and_1(scores: dict[str, float]) -> None:
    scaled = scale(scores)
    assert all(0 <= score <= 1 for score in scaled.values())
    for one in scores:
        for other in scores:
            if scores[one] >= scores[other]:
                assert scaled[one] >= scaled[other]
    if max(scores.values(), default=0) > 0:
        assert max(scaled.values()) == 1


@given(dense=scores, lexical=scores, alpha=shares)
def test_fusion_is_convex_and_knows_every_candidate(
    dense: dict[str, float], lexical: dict[str, float], alpha: float
) -> None:
    fused = fuse(dense, lexical, alpha)
    assert set(fused) == set(dense) | set(lexical)
    assert all(0 <= score <= 1 + 1e-9 for score in fused.values())


@given(dense=scores, lexical=scores)
def test_the_ends_of_alpha_are_the_searches_themselves(
    dense: dict[str, float], lexical: dict[str, float]
) -> None:
    both = dict.fromkeys([*dense, *lexical], 0.0)
    assert fuse(dense, lexical, 1.0) == {**both, **scale(dense)}
    assert fuse(dense, lexical, 0.0) == {**both, **scale(lexical)}


@given(dense=scores, lexical=scores, alpha=shares, factor=st.floats(0.01, 100))
def test_fusion_does_not_depend_on_the_unit_of_bm25(
    dense: dict[str, float], lexical: dict[str, float], alpha: float, factor: float
) -> None:
    scaled = {key: score * factor for key, score in lexical.items()}
    one, other = fuse(dense, lexical, alpha), fuse(dense, scaled, alpha)
    assert all(abs(one[key] - other[key]) < 1e-6 for key in one)


@given(scores=scores, k=st.integers(0, 15))
def test_with_no_weight_on_variety_the_best_come_first(scores: dict[str, float], k: int) -> None:
    picked = diversify(scores, lambda _one, _other: 1.0, k=k, balance=1.0)
    assert [scores[key] for key in picked] == sorted(scores.values(), reverse=True)[:k]


@given(scores=scores, k=st.integers(0, 15), balance=shares)
def test_a_choice_has_no_doubles_and_starts_with_the_best(
    scores: dict[str, float], k: int, balance: float
) -> None:
    picked = diversify(scores, lambda one, other: float(one[0] == other[0]), k=k, balance=balance)
    assert len(picked) == len(set(picked)) == min(k, len(scores))
    if picked and balance > 0:
        assert scores[picked[0]] * balance == max(scores.values()) * balance


def test_the_second_of_two_twins_gives_way_to_something_else() -> None:
    scores = {"a1": 1.0, "a2": 0.99, "b1": 0.7}
    picked = diversify(scores, lambda one, other: float(one[0] == other[0]), k=2, balance=0.7)
    assert picked == ["a1", "b1"]


@given(run=st.text(max_size=20), entry=st.text(max_size=26), low=shares, high=shares)
def test_a_draw_never_changes_and_grows_with_the_chance(
    run: str, entry: str, low: float, high: float
) -> None:
    low, high = sorted((low, high))
    assert is_withheld(run, entry, low) == is_withheld(run, entry, low)
    assert is_withheld(run, entry, low) <= is_withheld(run, entry, high)
    assert not is_withheld(run, entry, 0.0)
    assert is_withheld(run, entry, 1.0)


def test_over_many_entries_and_runs_the_draw_has_the_chance_it_says() -> None:
    for chance in (0.05, 0.1, 0.5):
        drawn = sum(
            is_withheld(f"run-{run}", f"entry-{entry}", chance)
            for run in range(100)
            for entry in range(100)
        )
        # Four standard deviations of 10,000 draws.
        assert abs(drawn / 10_000 - chance) < 4 * (chance * (1 - chance) / 10_000) ** 0.5


@given(first=st.lists(st.text(max_size=3)), second=st.lists(st.text(max_size=3)))
def test_overlap_is_symmetric_and_1_for_equal_texts(first: list[str], second: list[str]) -> None:
    assert overlap(first, second) == overlap(second, first)
    assert 0 <= overlap(first, second) <= 1
    assert overlap(first, first) == 1
