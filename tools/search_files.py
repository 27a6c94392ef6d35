"""The tool `search_files`: where a text stands in the workspace."""

import json

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandboxes.base import ExecResult, Limits, Outcome
from tools.base import Arguments, ToolContext, ToolError, ToolResult, tool
from tools.failures import failure
from tools.output import cap, clean
from tools.paths import matches_glob

_WALL_S = 10.0
_BAD_PATTERN = 3

# Runs in the sandbox: an expression that never ends costs its time limit, not the server.
_SCRIPT = r"""
import json, re, sys
wanted = json.load(sys.stdin)
flags = re.IGNORECASE if wanted["ignore_case"] else 0
text = wanted["pattern"] if wanted["regex"] else re.escape(wanted["pattern"])
try:
    pattern = re.compile(text, flags)
except (re.error, OverflowError, RecursionError) as error:
    print(error)
    sys.exit(3)
found, more, binary = [], False, 0
for path in wanted["paths"]:
    try:
        handle = open(path, "rb")
    except OSError:
        continue
    with handle:
        if b"\0" in handle.read(8192):
            binary += 1
            continue
        handle.seek(0)
        for number, raw in enumerate(handle, 1):
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            match = pattern.search(line)
            if match is None:
                continue
            if len(found) == wanted["max_results"]:
                more = True
                break
            start = max(0, match.start() - 100)
            found.append({"path": path, "line": number, "text": line[start:start + 300]})
    if more:
        break
json.dump({"matches": found, "more": more, "binary": binary}, sys.stdout)
"""
_ARGV = ("python3", "-I", "-B", "-X", "utf8", "-c", _SCRIPT)


class SearchFilesArguments(Arguments):
    """Arguments of `search_files`."""

    pattern: str = Field(min_length=1, max_length=1000)
    """Text to find in a line, or a Python regular expression when `regex` is true."""
    regex: bool = False
    """Read `pattern` as a regular expression."""
    glob: str = Field(default="**", min_length=1, max_length=500)
    """Only files that fit: `*.csv` by name, `src/**/*.py` by path."""
    ignore_case: bool = False
    """Take capital and small letters as the same."""
    max_results: int = Field(default=50, ge=1, le=1000)
    """Stop after this many lines."""


class _Match(BaseModel):
    path: str
    line: int
    text: str


class _Found(BaseModel):
    model_config = ConfigDict(frozen=True)

    matches: list[_Match]
    more: bool
    binary: int


@tool("search_files", effect="none")
async def search_files(args: SearchFilesArguments, context: ToolContext) -> ToolResult:
    """Find the lines in the workspace's text files that hold a text or fit an expression.

    Use it to find where something is named, in files too large to read. To list files by name
    use `list_files`; to count or sum, use `python`. Binary files are passed over.

    Returns one line per match: path, line number, text (`a.py:12: def main():`). No match is a
    result, not a failure.

    Example: {"pattern": "TOTAL", "glob": "*.csv", "ignore_case": true}
    """
    entries = await context.sandbox.list()
    paths = [e.path for e in entries if e.kind == "file" and matches_glob(e.path, args.glob)]
    if not paths:
        return ToolResult(text=f"(no file fits {args.glob!r})", data={"matches": []}, certain=True)
    question = {**args.model_dump(exclude={"glob"}), "paths": paths}
    limits = context.limits
    limits = limits.model_copy(update={"wall_s": min(_WALL_S, limits.wall_s)})
    result = await context.sandbox.exec(_ARGV, stdin=json.dumps(question).encode(), limits=limits)
    return _result(_parsed(result, limits, context), len(paths), context.output_chars)


def _parsed(result: ExecResult, limits: Limits, context: ToolContext) -> _Found:
    if result.exit_code == _BAD_PATTERN:
        reason = result.stdout.decode(errors="replace").strip()
        msg = f"`pattern` is no regular expression: {reason}; set `regex` to false for plain text"
        raise ToolError(msg, "bad_arguments")
    if result.outcome is Outcome.TIMED_OUT:
        msg = (
            f"the search took longer than {limits.wall_s:g} s; narrow it with `glob`, or use a "
            "simpler expression without nested repeats"
        )
        raise ToolError(msg, "timeout")
    if not result.ok:
        raise failure(result, limits, context.output_chars)
    try:
        return _Found.model_validate_json(result.stdout)
    except ValidationError as error:
        msg = "too much was found to be read back; ask for fewer with `max_results`"
        raise ToolError(msg, "sandbox") from error


def _result(found: _Found, files: int, limit: int) -> ToolResult:
    lines = [f"{match.path}:{match.line}: {match.text}" for match in found.matches]
    if found.more:
        lines.append(f"[stopped after {len(lines)} lines; there are more]")
    if found.binary:
        lines.append(f"[{found.binary} binary files passed over]")
    if not found.matches:
        lines.insert(0, f"(no match; {files} files searched)")
    text, cut = cap(clean("\n".join(lines)), limit, "narrow it with `glob`")
    return ToolResult(
        text=text,
        data={"matches": [match.model_dump() for match in found.matches], "more": found.more},
        truncated=found.more or cut,
        certain=True,
    )
