"""No wrong figure: what cannot be had is declined, what was assumed is said."""

from pathlib import Path

import pytest

from agents.run import RunEnd
from models.embedded import embedded_model
from tests.support.runs import Bench, bench

pytestmark = pytest.mark.anyio

FILES = {
    "sales.csv": (
        "date,region,product,quantity,unit_price,discount,status\n"
        "2024-01-05,North,Lamp,10,20.00,1.0,paid\n2024-01-20,South,Desk,2,150.00,5.0,paid\n"
        "2024-02-03,North,Desk,1,150.00,0,open\n2024-02-14,East,Lamp,5,20.00,2.5,paid\n"
        "2024-03-01,South,Chair,8,45.50,0,cancelled\n2024-03-22,East,Chair,4,45.50,1.5,paid\n"
    ),
    "staff.csv": (
        "name,department,salary,hired,manager,city\n"
        "Ann Lee,Sales,50000,2019-03-01,Bob Ray,Berlin\nBob Ray,Sales,70000,2015-06-15,,Paris\n"
        "Cid Moe,IT,65000,2020-01-10,Dot Fay,Berlin\nDot Fay,IT,90000,2012-11-30,,London\n"
        "Eve Poe,HR,48000,2021-09-01,,Paris\n"
    ),
    "trips.csv": (
        "trip_id,when,vehicle,distance_km,duration_min,fuel_l\n1,03/04/2023,Van,120,95,11.2\n"
        "2,05/04/2023,Car,80,60,5.1\n3,07/05/2023,Van,200,150,18.4\n"
        "4,09/05/2023,Truck,150,130,30.0\n5,11/06/2023,Car,60,50,4.0\n"
    ),
}


async def solve(folder: Path, task: str, name: str) -> tuple[RunEnd, Bench]:
    (folder / name).write_text(FILES[name], encoding="utf-8")
    run = await bench(folder, embedded_model(), instruction=task)
    end = await run.run()
    assert isinstance(end, RunEnd)
    return end, run


RIGHT = [
    ("sales.csv", "Total of quantity * unit_price per region", "| North | 350 | 2 |"),
    ("sales.csv", "total quantity*unit_price", "is 1296 "),
    ("sales.csv", "How many orders were not paid?", "is not paid is 2."),
    ("sales.csv", "What is the total quantity excluding Lamp and Desk?", "is 12 "),
    ("staff.csv", "Who earns the most in Sales?", "is Bob Ray: 70000"),
    ("staff.csv", "What is the highest salary outside Berlin?", "is 90000 "),
    ("staff.csv", "How many people work in Berlin?", "is 2."),
    (
        "staff.csv",
        "What is the total salary of managers?",
        "'managers' was not taken as a condition",
    ),
    ("trips.csv", "Total distance in April 2023", "read with the day first"),
]


@pytest.mark.parametrize(("name", "question", "expected"), RIGHT)
async def test_a_figure_is_right_and_says_what_was_assumed(
    tmp_path: Path, name: str, question: str, expected: str
) -> None:
    end, _ = await solve(tmp_path, question, name)

    assert (end.end_reason, expected in end.answer) == ("done", True), end.answer


DECLINED = [
    ("sales.csv", "What is the total quantity / unit_price?"),
    ("sales.csv", "What is the total of unit_price - discount?"),
    ("sales.csv", "What is the sum of quantity and unit_price?"),
    ("sales.csv", "What is the ratio of discount to quantity?"),
    ("sales.csv", "What is the difference between the highest and lowest unit_price?"),
    ("sales.csv", "How many urgent orders are there?"),
    ("sales.csv", "How many orders were refunded?"),
    ("sales.csv", "What is the total quantity and the average unit_price for North?"),
    ("sales.csv", "What is the second highest quantity?"),
    ("sales.csv", "What is the cumulative quantity?"),
    ("sales.csv", "What is the mean unit_price weighted by quantity?"),
    ("sales.csv", "How many orders have a discount?"),
    ("sales.csv", "How many orders in the first half of 2024?"),
    ("sales.csv", "What is the total quantity in the last month?"),
    ("sales.csv", "What is the unit price of the product with the highest quantity?"),
    ("staff.csv", "How many employees have no manager?"),
    ("staff.csv", "What is the salary difference between Dot Fay and Eve Poe?"),
    ("staff.csv", "How many female employees are there?"),
    ("trips.csv", "What is the longest trip?"),
    ("trips.csv", "Which trips were longer than 2 hours?"),
    ("trips.csv", "What is the total duration in hours?"),
    ("trips.csv", "Which trip had the highest fuel consumption per kilometer?"),
]


@pytest.mark.parametrize(("name", "question"), DECLINED)
async def test_what_is_not_understood_whole_is_declined(
    tmp_path: Path, name: str, question: str
) -> None:
    end, _ = await solve(tmp_path, question, name)

    assert end.end_reason == "no_answer", end.answer


AIR = Path(__file__).parents[3] / "examples" / "air-quality" / "air_quality_week.csv"
BOTH = [
    "Find the mean of CO(GT) in {name} and the day with the highest daily mean of CO(GT), and "
    "write both to report.md.",
    "What is the mean of CO(GT) in {name} and on which day was the daily mean highest? "
    "Write both to report.md.",
    "What is the mean of CO(GT) in {name}? Which day has the highest mean CO(GT)? "
    "Write both results to report.md.",
]


@pytest.mark.parametrize("task", BOTH)
async def test_a_written_file_holds_all_final_results_and_nothing_else(
    tmp_path: Path, task: str
) -> None:
    (tmp_path / AIR.name).write_bytes(AIR.read_bytes())
    run = await bench(tmp_path, embedded_model(), instruction=task.format(name=AIR.name))

    end = await run.run()

    assert isinstance(end, RunEnd)
    assert end.artifacts == ("report.md",)
    assert (tmp_path / "report.md").read_text() == (
        "# Report\n\nThe mean of CO(GT) is 2.7938 (160 rows used).\n\n"
        "The day with the highest mean of CO(GT) is 2004-03-15: 3.5043 (23 rows).\n"
    )


async def test_no_file_is_written_from_figures_that_look_odd(tmp_path: Path) -> None:
    rows = "".join(f"{n},{-999 if n % 3 == 0 else 10 + n}\n" for n in range(12))
    (tmp_path / "m.csv").write_text("n,depth\n" + rows)
    task = "Write the mean depth to out.txt"
    run = await bench(tmp_path, embedded_model(), instruction=task)

    await run.run()

    first = run.recorder.steps[0]
    assert first.failed
    assert "Written to out.txt" not in str(first)
    assert (tmp_path / "out.txt").read_text() == "The mean of depth is 16 (8 rows used).\n"


async def test_a_sentinel_in_rows_that_are_not_asked_about_costs_no_step(tmp_path: Path) -> None:
    rows = "".join(f"{site},{v}\n" for site in "ab" for v in (1, 2, 3, -999 if site == "b" else 4))
    (tmp_path / "m.csv").write_text("site,depth\n" + rows + "b,-999\n")
    run = await bench(tmp_path, embedded_model(), instruction="What is the mean depth at site a?")

    end = await run.run()

    assert isinstance(end, RunEnd)
    assert "is 2.5 " in end.answer
    assert len(run.recorder.steps) == 2


async def test_a_decimal_comma_is_not_taken_for_thousands_because_many_cells_allow_it(
    tmp_path: Path,
) -> None:
    cells = [f'"{n},125"' for n in range(1, 15)] + ['"1,5"', '"2,5"']
    (tmp_path / "m.csv").write_text("n,figure\n" + "".join(f"r,{c}\n" for c in cells))
    run = await bench(tmp_path, embedded_model(), instruction="What is the total figure?")

    end = await run.run()

    assert isinstance(end, RunEnd)
    assert "is 110.75 " in end.answer
