import json
import logging

from app.logs import JsonLines, add_place, placed


def record(message: str, *arguments: object) -> logging.LogRecord:
    made = logging.LogRecord("app.x", logging.INFO, __file__, 1, message, arguments, None)
    add_place(made)
    return made


def test_a_line_names_the_run_task_and_request_it_was_written_for() -> None:
    with placed(request="r1"), placed(run="t_1.1", task="t_1"):
        line = json.loads(JsonLines().format(record("went %s", "well")))
    assert line["message"] == "went well"
    assert (line["run"], line["task"], line["request"]) == ("t_1.1", "t_1", "r1")


def test_a_line_outside_names_nothing() -> None:
    assert set(json.loads(JsonLines().format(record("began")))) == {
        "at",
        "level",
        "logger",
        "message",
    }


def test_a_message_with_line_breaks_stays_one_line() -> None:
    assert "\n" not in JsonLines().format(record("one\ntwo"))


def test_text_for_people_ends_with_the_place() -> None:
    with placed(run="t_1.1"):
        made = record("began")
    assert logging.Formatter("%(message)s%(place)s").format(made) == "began [run=t_1.1]"
