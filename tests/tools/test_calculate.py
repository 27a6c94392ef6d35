import asyncio

import pytest
from inline_snapshot import snapshot

from memory.records import ErrorClass
from tests.tools.conftest import MakeToolbox
from tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("2 ** 64", "18446744073709551616"),
        ("prices = [19.99, 5.25]\nround(sum(prices) * 1.19, 2)", "30.04"),
        ("print('one')\n'two'", "one\n'two'"),
        ("from datetime import date\n(date(2026, 3, 1) - date(2026, 2, 1)).days", "28"),
        ("x = 1", "(no value, nothing printed)"),
        ("class A: pass\nA()", "(a value that has no text of its own; print its parts)"),
    ],
)
async def test_an_expression_or_a_program_is_evaluated(
    code: str, text: str, toolbox: Toolbox
) -> None:
    outcome = await toolbox.call("calculate", {"code": code})
    assert (outcome.ok, outcome.text) == (True, text)


async def test_each_call_starts_afresh(toolbox: Toolbox) -> None:
    assert (await toolbox.call("calculate", {"code": "kept = 1"})).ok
    assert (await toolbox.call("calculate", {"code": "kept"})).error_class == "bad_arguments"


async def test_an_exception_is_shown_with_the_lines_that_raised_it(toolbox: Toolbox) -> None:
    code = "def share(total, parts):\n    return total / parts\n\nprint('begun')\nshare(1, 0)\n"
    outcome = await toolbox.call("calculate", {"code": code})
    assert outcome.error_class == "precondition"
    assert outcome.text == snapshot("""\
ZeroDivisionError: division by zero
begun
[stderr]
Traceback (most recent call last):
  File "<python-input-0>", line 5, in <module>
    share(1, 0)
    ~~~~~~~~~~~
  File "<python-input-0>", line 2, in share
    return total / parts
           ~~~~~~~~~~~~~
ZeroDivisionError: division by zero\
""")


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        ("open('/etc/passwd').read()", "policy"),
        ("import numpy", "not_found"),
        ("1 +", "bad_arguments"),
        ("while True: pass", "timeout"),
        ("'a' * 10**10", "sandbox"),
        ("while True: print('x' * 1000)", "sandbox"),
    ],
)
async def test_what_it_cannot_do_is_a_typed_error(
    code: str, error_class: ErrorClass, make_toolbox: MakeToolbox
) -> None:
    outcome = await make_toolbox(wall_s=0.5).call("calculate", {"code": code})
    assert outcome.error_class == error_class
    assert len(outcome.text) < 8000


async def test_what_it_does_not_know_is_sent_to_the_tool_that_does(toolbox: Toolbox) -> None:
    code = "def f():\n    yield 1\nlist(f())"
    outcome = await toolbox.call("calculate", {"code": code})
    assert "`python` has more of the language" in outcome.text


async def test_calls_run_side_by_side(toolbox: Toolbox) -> None:
    calls = [toolbox.call("calculate", {"code": f"{n} * {n}"}) for n in range(20)]
    assert [outcome.text for outcome in await asyncio.gather(*calls)] == [
        str(n * n) for n in range(20)
    ]
