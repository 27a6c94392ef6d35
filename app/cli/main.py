"""Read the command line, run one command, turn what happens into an exit code.

Nothing heavy is imported here: a command's module is loaded when it was asked for.
"""

import asyncio
import sys
from collections.abc import Sequence
from importlib import import_module
from inspect import iscoroutine
from typing import TYPE_CHECKING

from app.cli.arguments import build_parser
from app.cli.exits import Exit

if TYPE_CHECKING:
    from argparse import Namespace


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    try:
        args = build_parser().parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.WRONG_USE
    try:
        return _run(args)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone, such as `head`; nothing is left to tell them.
        sys.stdout = None
        return Exit.DONE
    except Exception as error:  # the edge of the process: people get a sentence
        if args.debug:
            raise
        return _report(error)


def _run(args: "Namespace") -> int:
    module, _, name = args.command.partition(":")
    result = getattr(import_module(module), name)(args)
    return int(asyncio.run(result)) if iscoroutine(result) else int(result)


def _report(error: Exception) -> int:
    code, message = import_module("app.cli.failures").explain(error)
    sys.stderr.write(f"strop: {message}\n")
    return int(code)
