"""Files that are not plain: their errors mend the reading, a tip makes it right at once."""

import csv
import io
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agents.run import RunEnd
from memory.records import Entry, Provenance, Recall, Recalled, Scope, Tip
from models.embedded import embedded_model
from models.embedded.dialect import Dialect, facts, from_tips
from tests.support.runs import Bench, bench

pytestmark = pytest.mark.anyio

STATIONS = (
    "Datum;Ort;Ozon;Temp\n"
    "03.02.2021;Köln;41,5;2,0\n04.02.2021;Köln;-999;1,5\n"
    "15.02.2021;Bonn;38,5;3,5\n16.03.2021;Köln;50,0;n.v.\n17.03.2021;Bonn;-999;7,0\n"
    "18.03.2021;Bonn;44,0;8,0\n"
)


async def solve(folder: Path, task: str, recalled: Recall | None = None) -> tuple[RunEnd, Bench]:
    run = await bench(folder, embedded_model(), instruction=task, recalled=recalled)
    end = await run.run()
    assert isinstance(end, RunEnd)
    return end, run


async def test_a_foreign_file_is_understood_from_its_errors(tmp_path: Path) -> None:
    (tmp_path / "luft.csv").write_bytes(STATIONS.encode("latin-1"))

    end, run = await solve(tmp_path, "What is the mean Ozon in luft.csv in February 2021?")

    assert "is 40 (2 rows used)" in end.answer
    assert [s.failed for s in run.recorder.steps] == [True, True, True, False, False]
    assert "-999 occurs 2 times" in run.recorder.steps[2].feedback or "-999" in str(
        [s.feedback for s in run.recorder.steps]
    )


async def test_what_was_learned_makes_the_next_run_right_at_once(tmp_path: Path) -> None:
    (tmp_path / "luft.csv").write_bytes(STATIONS.encode("latin-1"))
    end, run = await solve(tmp_path, "What is the mean Ozon in luft.csv in February 2021?")
    await run.learn(end)
    [tip] = run.memory.proposals
    assert isinstance(tip, Tip)
    assert tip.scope == Scope(level="file", key="luft.csv")
    for fact in ("';'", "decimals with ','", "cp1252", "DD/MM/YYYY", "-999 stands for a missing"):
        assert fact in tip.text

    recall = Recall(items=(recalled(tip),))
    end, run = await solve(tmp_path, "What is the highest Ozon at Bonn in luft.csv?", recall)

    assert "is 44 " in end.answer
    assert [s.failed for s in run.recorder.steps] == [False, False]


def recalled(tip: Tip) -> Recalled:
    entry = Entry(
        id="tip-1",
        namespace="default",
        kind="tip",
        status="active",
        version=1,
        body=tip,
        content_hash="",
        provenance=Provenance(),
        created_at=datetime(2024, 1, 1, tzinfo=UTC),
    )
    return Recalled(entry=entry, score=1.0, rank=1)


CASES = {
    "title lines above the header": (
        "Report of the plant\nprinted 2024\ncode,amount\nA,10\nB,20\nC,30\n",
        "What is the total amount?",
        "is 60",
    ),
    "thousands with commas": (
        'town,people\nUlm,"126,329"\nJena,"110,731"\nGera,"93,125"\n',
        "What is the sum of people?",
        "is 330185",
    ),
    "currency signs": (
        "item,price\nPen,$1.20\nInk,$7.30\nPad,$3.50\n",
        "What is the average price?",
        "is 4",
    ),
    "words for missing values": (
        "site,ph\na,7.0\nb,n/a\nc,8.0\nd,-\n",
        "What is the mean ph?",
        "is 7.5 (2 rows used)",
    ),
    "month first": (
        "shipped,parcels\n01/31/2023,5\n02/14/2023,7\n02/28/2023,9\n",
        "How many parcels in February 2023?",
        "is 16",
    ),
    "pipes": ("a|b\n1|2\n3|4\n", "What is the total of b?", "is 6"),
    "names of months": (
        "when,visits\n5 Mar 2022,10\n12 Mar 2022,20\n1 Apr 2022,40\n",
        "What is the total of visits in March 2022?",
        "is 30",
    ),
    "a point for thousands and a comma for decimals": (
        "firma;umsatz\nX;1.234,50\nY;2.000,00\nZ;965,50\n",
        "What is the total umsatz?",
        "is 4200",
    ),
    "nines as a sentinel": (
        "probe,depth\na,12\nb,9999\nc,14\nd,16\ne,15\n",
        "What is the maximum depth?",
        "is 16",
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_one_peculiarity_is_found_and_mended(tmp_path: Path, case: str) -> None:
    text, question, expected = CASES[case]
    (tmp_path / "data.csv").write_text(text, encoding="utf-8")

    end, run = await solve(tmp_path, question)

    assert expected in end.answer, end.answer
    assert run.recorder.steps[0].failed
    assert len(run.recorder.steps) <= 5


async def test_utf_16_is_read(tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_text("k,v\na,1\nb,2\n", encoding="utf-16")

    end, _ = await solve(tmp_path, "What is the total of v?")

    assert "is 3 " in end.answer


async def test_a_large_value_that_fits_the_others_is_no_sentinel(tmp_path: Path) -> None:
    (tmp_path / "pay.csv").write_text("who,pay\na,30\nb,500\nc,500\nd,120\n", encoding="utf-8")

    end, run = await solve(tmp_path, "What is the average pay?")

    assert "is 287.5" in end.answer
    assert not any(step.failed for step in run.recorder.steps)


dialects = st.builds(
    Dialect,
    separator=st.sampled_from([",", ";", "\t", "|"]),
    decimal=st.sampled_from([".", ","]),
    encoding=st.sampled_from(["utf-8", "cp1252"]),
    header_line=st.integers(1, 3),
    dates=st.sampled_from(["ISO", "DMY", "MDY", "YMD"]),
    missing=st.sampled_from([(), ("-999",), ("n/a",), ("-200", "?")]),
)


@given(dialect=dialects)
def test_the_words_of_a_tip_are_read_back_as_the_same_dialect(dialect: Dialect) -> None:
    line = f"- [tip-7] {facts('x.csv', dialect)} (file x.csv)"

    assert from_tips("x.csv", line) == dialect
    assert from_tips("other.csv", line) == Dialect()


def written(dialect: Dialect, seed: int) -> tuple[str, float]:
    """Return a file of this dialect and the sum of its figures from the 13th of a month on."""
    rng = random.Random(seed)  # noqa: S311 - test data
    forms = {"ISO": "{y}-{m:02}-{d:02}", "YMD": "{y}/{m:02}/{d:02}"}
    forms |= {"DMY": "{d:02}/{m:02}/{y}", "MDY": "{m:02}/{d:02}/{y}"}
    out = io.StringIO()
    for line in range(dialect.header_line - 1):
        out.write(f"Prüfbericht {line}\n")
    writer = csv.writer(out, delimiter=dialect.separator, lineterminator="\n")
    writer.writerow(["day", "straße", "figure"])
    total = 0.0
    for n in range(28):
        value = rng.randrange(1, 400) / 8
        day = forms[dialect.dates].format(y=2020, m=1 + n // 14, d=1 + n)
        shown = str(value).replace(".", dialect.decimal)
        if dialect.missing and n % 5 == 0:
            shown = dialect.missing[n // 5 % len(dialect.missing)]
        else:
            total += value if n < 14 else 0
        writer.writerow([day, f"Größe {n}", shown])
    return out.getvalue(), total


@given(dialect=dialects, seed=st.integers(0, 10_000))
@settings(
    max_examples=8,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_any_dialect_is_recovered_within_a_few_attempts(
    tmp_path_factory: pytest.TempPathFactory, dialect: Dialect, seed: int
) -> None:
    text, total = written(dialect, seed)
    folder = tmp_path_factory.mktemp("dialect")
    (folder / "data.csv").write_text(text, encoding=dialect.encoding)

    end, run = await solve(folder, "What is the total figure in January 2020? Round to 3 decimals.")

    assert f"is {total:.3f}" in end.answer, end.answer
    assert len(run.recorder.steps) <= 6
