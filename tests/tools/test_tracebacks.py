import pytest
from inline_snapshot import snapshot

from memory.records import ErrorClass
from tools.failures import classify
from tools.tracebacks import Raised, raised, shorten

DEEP = """\
warning: something
Traceback (most recent call last):
  File "<code>", line 3, in <module>
    load("a.csv")
  File "/usr/lib/python3/dist-packages/pandas/io.py", line 10, in load
    return _load(path)
  File "/usr/lib/python3/dist-packages/pandas/io.py", line 20, in _load
    raise KeyError(name)
KeyError: 'amount'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "<code>", line 5, in <module>
    fail()
  File "/work/helpers.py", line 2, in fail
    raise ValueError("no column\\nof that name")
ValueError: no column
of that name
"""


def test_library_frames_are_dropped_except_the_innermost() -> None:
    assert shorten(DEEP) == snapshot("""\
warning: something
Traceback (most recent call last):
  File "<code>", line 3, in <module>
    load("a.csv")
  File "/usr/lib/python3/dist-packages/pandas/io.py", line 20, in _load
    raise KeyError(name)
KeyError: 'amount'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "<code>", line 5, in <module>
    fail()
  File "/work/helpers.py", line 2, in fail
    raise ValueError("no column\\nof that name")
ValueError: no column
of that name\
""")


def test_the_last_exception_is_found_with_its_whole_message() -> None:
    assert raised(DEEP) == Raised("ValueError", "no column\nof that name")


@pytest.mark.parametrize("text", ["", "error: no\n", "Traceback of my holidays", "KeyError: 'a'"])
def test_text_without_a_traceback_has_no_exception(text: str) -> None:
    assert raised(text) is None
    assert shorten(text) == text


def traceback_of(last_line: str) -> str:
    return (
        f'Traceback (most recent call last):\n  File "<code>", line 1, in f\n    x\n{last_line}\n'
    )


@pytest.mark.parametrize(
    ("stderr", "exit_code", "error_class"),
    [
        (traceback_of("KeyError: 'a'"), 1, "precondition"),
        (traceback_of("AssertionError"), 1, "precondition"),
        (traceback_of("UnicodeDecodeError: 'utf-8' codec can't decode"), 1, "precondition"),
        (traceback_of("json.decoder.JSONDecodeError: Expecting value"), 1, "precondition"),
        (traceback_of("FileNotFoundError: [Errno 2] No such file: 'a'"), 1, "not_found"),
        (traceback_of("ModuleNotFoundError: No module named 'pandas'"), 1, "not_found"),
        (traceback_of("NameError: name 'x' is not defined"), 1, "bad_arguments"),
        (traceback_of("PermissionError: [Errno 13]"), 1, "policy"),
        (traceback_of("OSError: [Errno 30] Read-only file system: '/etc/x'"), 1, "policy"),
        (traceback_of("OSError: [Errno 28] No space left on device"), 1, "sandbox"),
        (traceback_of("socket.gaierror: [Errno -3] Temporary failure"), 1, "network"),
        (traceback_of("urllib.error.URLError: <urlopen error>"), 1, "network"),
        (traceback_of("MemoryError"), 1, "sandbox"),
        (
            '  File "a.py", line 1\n    x = (\n        ^\nSyntaxError: never closed\n',
            1,
            "bad_arguments",
        ),
        ("sh: 1: frobnicate: not found\n", 127, "not_found"),
        ("cat: a.csv: No such file or directory\n", 1, "not_found"),
        ("sh: 1: Syntax error: Unterminated quoted string\n", 2, "bad_arguments"),
        ("ls: unrecognized option '--frob'\n", 2, "bad_arguments"),
        ("touch: cannot touch '/etc/x': Read-only file system\n", 1, "policy"),
        ("curl: (6) Could not resolve host: example.org\n", 6, "network"),
        ("cp: error writing 'b': No space left on device\n", 1, "sandbox"),
        ("Killed\n", 137, "sandbox"),
        ("", 1, "unknown"),
        ("something odd\n", 3, "unknown"),
    ],
)
def test_a_failure_is_classified_by_what_was_printed(
    stderr: str, exit_code: int, error_class: ErrorClass
) -> None:
    assert classify(stderr, exit_code) == error_class
