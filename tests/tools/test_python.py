from pathlib import Path

import pytest
from inline_snapshot import snapshot

from memory.records import ErrorClass
from tests.tools.conftest import MakeToolbox
from tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio


async def test_a_program_runs_in_the_workspace(toolbox: Toolbox, workspace: Path) -> None:
    (workspace / "a.csv").write_text("name,n\né,1\n", encoding="utf-8")

    outcome = await toolbox.call("python", {"code": "print(open('a.csv').read().upper())"})

    assert (outcome.ok, outcome.text) == (True, "NAME,N\nÉ,1")


async def test_modules_of_the_workspace_can_be_imported_but_replace_nothing(
    toolbox: Toolbox, workspace: Path
) -> None:
    (workspace / "csv.py").write_text("raise SystemExit('shadowed')")
    (workspace / "helpers.py").write_text("answer = 42")

    outcome = await toolbox.call(
        "python", {"code": "import csv, helpers\nprint(helpers.answer, hasattr(csv, 'reader'))"}
    )

    assert outcome.text == "42 True"
    listed = await toolbox.call("list_files", {})
    assert [line.split("\t")[1] for line in listed.text.splitlines()] == ["csv.py", "helpers.py"]


async def test_an_exception_is_shown_with_the_lines_that_raised_it(toolbox: Toolbox) -> None:
    code = "def load(row):\n    return row['amount']\n\nprint('begun')\nload({'price': 1})\n"

    outcome = await toolbox.call("python", {"code": code})

    assert outcome.error_class == "precondition"
    assert outcome.text == snapshot("""\
KeyError: 'amount'
begun
[stderr]
Traceback (most recent call last):
  File "<code>", line 5, in <module>
    load({'price': 1})
  File "<code>", line 2, in load
    return row['amount']
           ~~~^^^^^^^^^^
KeyError: 'amount'\
""")


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        ("open('missing.csv')", "not_found"),
        ("import nothing_of_that_name", "not_found"),
        ("x = (", "bad_arguments"),
        ("print(undefined)", "bad_arguments"),
        ("int('x')", "precondition"),
        ("b'\\xff'.decode()", "precondition"),
        ("assert 1 == 2, 'totals differ'", "precondition"),
        ("1 + 'a'", "precondition"),
        ("raise SystemExit(3)", "unknown"),
        ("def f(): f()\nf()", "precondition"),
        ("import os; os.kill(os.getpid(), 9)", "sandbox"),
    ],
)
async def test_a_failing_program_is_classified(
    toolbox: Toolbox, code: str, error_class: ErrorClass
) -> None:
    outcome = await toolbox.call("python", {"code": code})

    assert (outcome.ok, outcome.error_class) == (False, error_class), outcome.text


async def test_a_long_traceback_is_shortened(toolbox: Toolbox) -> None:
    outcome = await toolbox.call("python", {"code": "import json\njson.loads('{')"})

    assert outcome.text.count("File ") == 2
    assert "JSONDecodeError: Expecting property name" in outcome.text


async def test_classes_of_the_program_can_be_pickled_and_run_as_main(toolbox: Toolbox) -> None:
    code = (
        "import pickle\nfrom dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n"
        "if __name__ == '__main__':\n    print(pickle.loads(pickle.dumps(P(3))))\n"
    )

    outcome = await toolbox.call("python", {"code": code})

    assert outcome.text == "P(x=3)"


async def test_what_was_printed_before_a_time_out_is_kept(make_toolbox: MakeToolbox) -> None:
    code = "print('begun')\nimport time\ntime.sleep(60)"

    outcome = await make_toolbox(wall_s=1).call("python", {"code": code})

    assert outcome.error_class == "timeout"
    assert "begun" in outcome.text


async def test_names_stay_from_one_call_to_the_next(make_toolbox: MakeToolbox) -> None:
    toolbox = make_toolbox()
    await toolbox.call("python", {"code": "answer = 42"})
    assert (await toolbox.call("python", {"code": "answer"})).text == "42"


async def test_names_that_were_lost_are_told(make_toolbox: MakeToolbox) -> None:
    toolbox = make_toolbox(wall_s=1)
    await toolbox.call("python", {"code": "answer = 42"})
    assert not (await toolbox.call("python", {"code": "while True: pass"})).ok
    outcome = await toolbox.call("python", {"code": "print('again')"})
    assert outcome.text == "(a new interpreter was started: names of earlier calls are gone)\nagain"
