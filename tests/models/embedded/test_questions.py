"""Questions over files that the embedded model was not written for, answered end to end."""

from pathlib import Path

import pytest

from agents.run import RunEnd
from models.embedded import embedded_model
from tests.support.runs import Bench, bench

pytestmark = pytest.mark.anyio

FILES: dict[str, str] = {
    "orders.csv": (
        "order_id,ordered_on,customer,region,item,quantity,unit_price,status\n"
        "1001,2023-11-02,Miller GmbH,North,Bolt,100,0.25,shipped\n"
        "1002,2023-11-17,Arco SpA,South,Nut,250,0.10,shipped\n"
        "1003,2023-12-01,Miller GmbH,North,Gear,4,18.50,refunded\n"
        "1004,2023-12-24,Yamada KK,East,Bolt,40,0.25,shipped\n"
        "1005,2024-01-08,Arco SpA,South,Gear,10,17.00,shipped\n"
        "1006,2024-01-30,Yamada KK,East,Nut,500,0.09,pending\n"
        "1007,2024-02-11,Miller GmbH,West,Gear,6,18.00,shipped\n"
    ),
    "customers.csv": (
        "customer,country,since\nMiller GmbH,Germany,2015\n"
        "Arco SpA,Italy,2019\nYamada KK,Japan,2011\n"
    ),
    "weather.csv": (
        "day,station,temp_c,rain_mm\n2022-07-01,Hill,21.5,0\n2022-07-01,Lake,24.0,0\n"
        "2022-07-02,Hill,18.0,12.5\n2022-07-02,Lake,19.5,8.0\n2022-08-01,Hill,26.0,0\n"
        "2022-08-01,Lake,29.5,0.5\n2022-08-15,Hill,23.0,3.0\n2022-08-15,Lake,25.0,1.0\n"
    ),
    "requests.jsonl": (
        '{"time": "2024-06-01T08:00:00Z", "path": "/home", "status": 200, "duration_ms": 12.5}\n'
        '{"time": "2024-06-01T08:05:00Z", "path": "/login", "status": 500, "duration_ms": 230}\n'
        '{"time": "2024-06-02T09:00:00Z", "path": "/home", "status": 200, "duration_ms": 17.5}\n'
        '{"time": "2024-06-03T10:00:00Z", "path": "/login", "status": 404, "duration_ms": 5}\n'
        '{"time": "2024-06-03T10:30:00Z", "path": "/home", "status": 500, "duration_ms": 90}\n'
    ),
    "players.tsv": (
        "player\tteam\tgoals\tage\nIngrid\tBlue\t12\t24\nMaya\tRed\t9\t31\nNoor\tBlue\t15\t28\n"
        "Olga\tRed\t9\t22\nPia\tGreen\t3\t35\n"
    ),
    "notes.txt": (
        "Meeting on 2024-05-06 with anna@acme.test.\nTODO call ben@acme.test about the invoice.\n"
        "The invoice of 2024-04-30 is unpaid.\nTODO write to anna@acme.test\nDone.\n"
    ),
    "server.log": (
        "08:00 INFO start 10.0.0.1\n08:01 WARN slow disk\n08:02 ERROR disk full 10.0.0.7\n"
        "08:03 ERROR disk full 10.0.0.7\n08:04 INFO stop\n"
    ),
}


async def solve(folder: Path, task: str, *names: str) -> tuple[RunEnd, Bench]:
    for name in names:
        (folder / name).write_text(FILES[name], encoding="utf-8")
    run = await bench(folder, embedded_model(), instruction=task)
    end = await run.run()
    assert isinstance(end, RunEnd)
    return end, run


QUESTIONS = [
    ("What is the total quantity of bolts ordered?", "is 140 (2 rows used)"),
    ("How many orders were refunded?", "is 1."),
    ("How many orders did Miller GmbH place?", "is 3."),
    ("What is the average unit price of gears? Round to 2 decimals.", "is 17.83"),
    ("Which item sold the most units?", "is Nut: 750 (2 rows)"),
    ("Which customer has the highest total quantity?", "is Yamada KK: 540"),
    ("Total quantity per region", "| East | 540 | 2 |"),
    ("What is the total quantity for each item in 2024?", "| Gear | 16 | 2 |"),
    ("How many orders were placed in November 2023?", "is 2."),
    ("What is the sum of quantity times unit_price for shipped orders?", "is 338"),
    ("How many orders have a unit price above 1?", "is 3."),
    ("What is the largest quantity and the smallest quantity?", None),
    ("What percentage of orders is pending? Round to 1 decimal.", "is 14.3 %"),
    ("How many different customers are there?", "is 3 "),
    ("What is the median unit price?", "is 0.25"),
    ("How many orders per month?", "| 2023-11 | 2 |"),
    ("Which region has the fewest orders?", "is West: 1"),
    ("List all items that Yamada KK ordered.", "Bolt, Nut"),
    ("What is the status of order 1006?", "is pending"),
    ("Sum of quantity between 2023-12-01 and 2024-01-31", "is 554 (4 rows used)"),
    ("What is the mean quantity excluding Gear?", "is 222.5"),
    ("What was the total quantity before 2024?", "is 394"),
    ("Which 2 regions have the lowest total quantity?", "| West | 6 | 1 |"),
    ("Give me a list of the items and their total quantity", "| Bolt | 140 | 2 |"),
    ("What is the total number of orders?", "is 7."),
    ("Show the top 2 customers by quantity", "| Arco SpA | 260 | 2 |"),
]


@pytest.mark.parametrize(("question", "expected"), [q for q in QUESTIONS if q[1]])
async def test_orders_are_asked_about_in_plain_words(
    tmp_path: Path, question: str, expected: str
) -> None:
    end, run = await solve(tmp_path, question, "orders.csv")

    assert (end.end_reason, expected in end.answer) == ("done", True), end.answer
    assert len(run.recorder.steps) == 2


OTHERS = [
    (
        "weather.csv",
        "What was the average temperature at Lake in August 2022?",
        "is 27.25 °C (2 rows",
    ),
    ("weather.csv", "Which day was the hottest?", "2022-08-01"),
    ("weather.csv", "How much rain fell at Hill in July 2022?", "is 12.5 mm"),
    ("weather.csv", "What is the highest temperature per station?", "| Lake | 29.5 | 4 |"),
    ("weather.csv", "Average temp_c by month", "| 2022-07 | 20.75 | 4 |"),
    ("weather.csv", "How many days had more than 5 mm of rain?", "is 2."),
    ("weather.csv", "When was the lowest temperature measured?", "is 2022-07-02: 18"),
    ("requests.jsonl", "What is the mean duration of /home requests?", "is 40 ms (3 rows used)"),
    ("requests.jsonl", "How many requests had status 500?", "is 2."),
    ("requests.jsonl", "Number of requests per day", "| 2024-06-03 | 2 |"),
    ("requests.jsonl", "Which path is the slowest on average?", None),
    (
        "requests.jsonl",
        "What is the maximum duration_ms?",
        "is 230 ms (at time 2024-06-01T08:05:00Z",
    ),
    ("players.tsv", "Who scored the most goals?", "is Noor: 15"),
    ("players.tsv", "What is the average age of the Blue team?", "is 26 "),
    ("players.tsv", "Which players are older than 30?", "Maya, Pia"),
    ("players.tsv", "List the 3 youngest players", "| Olga | 22 |"),
    ("players.tsv", "total goals by team", "| Red | 18 | 2 |"),
    ("players.tsv", "How many goals did the Red team score?", "is 18"),
    ("players.tsv", "How old is Pia?", "is 35"),
    ("notes.txt", "How many lines does notes.txt have?", "has 5 lines"),
    ("notes.txt", "How many times does the word 'invoice' occur in notes.txt?", "occurs 2 times"),
    (
        "notes.txt",
        "Extract all unique email addresses from notes.txt",
        "2 email addresses: anna@acme.test, ben@acme.test",
    ),
    ("notes.txt", "List the lines of notes.txt that contain TODO", "2 lines:"),
    ("notes.txt", "Find all dates in notes.txt", "2024-05-06, 2024-04-30"),
    ("server.log", "How many ERROR lines are in server.log?", "2 lines"),
    ("server.log", "How many lines in server.log start with 08:0?", "5 lines"),
    ("server.log", "List the distinct IP addresses in server.log", "10.0.0.1, 10.0.0.7"),
    (
        "notes.txt",
        "How many words are in notes.txt?",
        f"has {len(FILES['notes.txt'].split())} words",
    ),
]


@pytest.mark.parametrize(("name", "question", "expected"), [q for q in OTHERS if q[2]])
async def test_other_files_are_asked_about_in_plain_words(
    tmp_path: Path, name: str, question: str, expected: str
) -> None:
    end, _ = await solve(tmp_path, question, name)

    assert (end.end_reason, expected in end.answer) == ("done", True), end.answer
