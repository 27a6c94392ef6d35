"""Turns a command that failed in the sandbox into a `ToolError` with its class.

The class is read from what the command printed, which nobody vouches for: it steers what is
tried next, never what is allowed.
"""

import re
from collections.abc import Sequence

from memory.records import ErrorClass
from sandboxes.base import ExecResult, Limits, Outcome
from tools.base import ToolError
from tools.output import cap, decode
from tools.tracebacks import raised, shorten

_EXCEPTIONS: dict[ErrorClass, frozenset[str]] = {
    "not_found": frozenset({"FileNotFoundError", "ModuleNotFoundError", "ImportError"}),
    "bad_arguments": frozenset(
        {"SyntaxError", "IndentationError", "TabError", "NameError", "UnboundLocalError"}
    ),
    "policy": frozenset({"PermissionError"}),
    "network": frozenset(
        {
            "ConnectionError",
            "ConnectionRefusedError",
            "ConnectionResetError",
            "ConnectionAbortedError",
            "gaierror",
            "URLError",
            "ConnectError",
            "ConnectTimeout",
            "NewConnectionError",
            "MaxRetryError",
        }
    ),
    "sandbox": frozenset({"MemoryError", "BlockingIOError"}),
    "timeout": frozenset({"TimeoutError", "TimeoutExpired"}),
}

_PHRASES: Sequence[tuple[ErrorClass, re.Pattern[str]]] = (
    (
        "sandbox",
        re.compile(
            r"No space left on device|Cannot allocate memory|Disk quota exceeded"
            r"|File size limit exceeded|[Cc]annot fork|Resource temporarily unavailable"
        ),
    ),
    (
        "network",
        re.compile(
            r"[Cc]ould not resolve|Name or service not known|name resolution|Connection refused"
            r"|Network is unreachable|unable to resolve host"
        ),
    ),
    ("policy", re.compile(r"Permission denied|Read-only file system|Operation not permitted")),
    ("not_found", re.compile(r"No such file or directory|: not found\b|command not found")),
    (
        "bad_arguments",
        re.compile(
            r"[Ss]yntax error|[Uu]nterminated quoted string|unexpected EOF while looking"
            r"|(?:invalid|unrecognized|illegal|unknown) option|[Bb]ad substitution"
        ),
    ),
)

_EXITS: dict[int, ErrorClass] = {
    126: "policy",
    127: "not_found",
    128 + 9: "sandbox",
    128 + 24: "timeout",
    128 + 25: "sandbox",
    128 + 31: "policy",
}

_ADVICE: dict[ErrorClass, str] = {
    "network": "The sandbox reaches what its operator allowed only; `fetch_url` fetches pages.",
    "policy": "Only the workspace can be written, and nothing may leave the sandbox.",
}


def classify(stderr: str, exit_code: int) -> ErrorClass:
    """Return why a command failed, from its traceback, its exit status and its last lines."""
    exception = raised(stderr)
    if exception is not None:
        return _of_exception(exception.name, exception.message)
    if exit_code in _EXITS:
        return _EXITS[exit_code]
    return _of_phrase(stderr[-2000:]) or "unknown"


def _of_exception(name: str, message: str) -> ErrorClass:
    short = name.rsplit(".", 1)[-1]
    for error_class, names in _EXCEPTIONS.items():
        if short in names:
            return error_class
    if short in {"OSError", "CalledProcessError"}:
        return _of_phrase(message) or "precondition"
    return "precondition"


def _of_phrase(text: str) -> ErrorClass | None:
    for error_class, pattern in _PHRASES:
        if pattern.search(text):
            return error_class
    return None


def failure(result: ExecResult, limits: Limits, output_chars: int) -> ToolError:
    """Return the error that tells a model how a command ended and what it printed."""
    stderr = shorten(decode(result.stderr))
    message, error_class = _ending(result, limits, stderr)
    output, _ = cap(printed(decode(result.stdout), stderr), output_chars)
    return ToolError(message, error_class, output=output)


def printed(stdout: str, stderr: str) -> str:
    """Return both streams as one text, the second one marked."""
    parts = [stdout.rstrip("\n")] if stdout.strip() else []
    if stderr.strip():
        parts.append(f"[stderr]\n{stderr.rstrip()}")
    return "\n".join(parts)


def _ending(result: ExecResult, limits: Limits, stderr: str) -> tuple[str, ErrorClass]:
    if result.outcome is Outcome.EXITED:
        return _exited(result.exit_code if result.exit_code is not None else -1, stderr)
    if result.outcome is Outcome.SIGNALED:
        number = result.signal or 0
        return (
            f"the command was ended by signal {number}",
            _EXITS.get(128 + number, "unknown"),
        )
    if result.outcome is Outcome.TIMED_OUT:
        return (
            f"the command took longer than {limits.wall_s:g} s and was killed; files it wrote "
            "are kept. Do less at a time, or something faster.",
            "timeout",
        )
    return _over_limit(result.outcome, limits), "sandbox"


def _over_limit(outcome: Outcome, limits: Limits) -> str:
    if outcome is Outcome.OOM:
        return (
            f"the command needed more than {limits.memory_bytes >> 20} MiB of memory and was "
            "killed. Work in pieces: read line by line, keep totals, not rows."
        )
    if outcome is Outcome.OUTPUT_LIMIT:
        return (
            f"the command printed more than {limits.output_kill_bytes >> 20} MiB and was killed. "
            "Write to a file and print a summary."
        )
    return (
        f"the workspace grew over {limits.disk_bytes >> 20} MiB and the command was killed. "
        "Delete what is not needed, write less."
    )


def _exited(exit_code: int, stderr: str) -> tuple[str, ErrorClass]:
    error_class = classify(stderr, exit_code)
    exception = raised(stderr)
    reason = f"the command ended with exit status {exit_code}"
    if exception is not None:
        reason = f"{exception.name}: {exception.message}"[:500].rstrip(": ")
    advice = _ADVICE.get(error_class, "")
    return f"{reason}. {advice}".rstrip(" ") if advice else reason, error_class
