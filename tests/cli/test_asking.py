"""A task's question is answered at the terminal."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ASK = """
import asyncio
from app.cli.asking import ask_on_terminal
print(asyncio.run(ask_on_terminal({"text": "Which\\x1b[2J file?"})))
"""


def _answered(typed: bytes) -> "subprocess.CompletedProcess[str]":
    ours, theirs = os.openpty()
    try:
        os.write(ours, typed)
        return subprocess.run(
            [sys.executable, "-c", ASK],
            cwd=ROOT,
            stdin=theirs,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(theirs)
        os.close(ours)


def test_the_first_line_with_words_in_it_is_the_answer() -> None:
    done = _answered(b"\n   \n  the second one \nmore\n")
    assert (done.returncode, done.stdout) == (0, "the second one\n")
    assert "The task asks: Which" in done.stderr
    assert "\x1b" not in done.stderr


def test_an_end_of_input_answers_nothing() -> None:
    done = _answered(b"\x04")
    assert done.returncode == 1
    assert "EOFError" in done.stderr
