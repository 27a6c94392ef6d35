"""The Solver: choose the next action from the prompt alone."""

import re
from dataclasses import dataclass

from models.embedded.dialect import Dialect, from_tips, mend, plain
from models.embedded.pages import answer_from_page, looks_tabular, saved_name
from models.embedded.questions import parse_queries
from models.embedded.rendering import (
    dialects_of,
    outputs_of,
    question_of,
    small_program,
    table_program,
)
from models.embedded.sections import PastStep, past_steps, unfenced, workspace_files
from models.embedded.understanding import CodeWork, PageWork, TableWork, parts_of, understand
from models.messages import JsonObject, Request

ANOTHER_WAY = "Look at the data again and finish: "
_ABLE = (
    " The embedded model is a small program that answers questions over tables "
    "(filter, group, sum, mean,"
    " count, top, join), reckons with numbers, units and dates, searches and edits "
    "text files, and reads"
    " single pages. For anything else connect a real model: set STROP_MODEL and the "
    "provider's API key,"
    " or start a local server such as Ollama."
)


@dataclass(frozen=True)
class Move:
    """What the Solver does next: a thought and one tool call."""

    thought: str
    tool: str
    arguments: JsonObject


def next_move(found: dict[str, str], request: Request) -> Move:
    """Return the next action for the subgoal of a prompt."""
    tools = {tool.name: tool.parameters.get("properties", {}) for tool in request.tools}
    files = workspace_files(found.get("Workspace", ""))
    subgoal = _plain(found.get("Subgoal") or found.get("Task", ""))
    steps = past_steps(found.get("History", ""))
    own = _own(subgoal, steps)
    if own and own[-1][0].outcome == "success" and (answer := _answer_in(own[-1][0].report)):
        return _answer(answer, outputs_of(own[-1][1]), tools)
    # Only the untouched workspace tells what every part of the task is about.
    parts = [] if steps else parts_of(found.get("Task", ""))
    beyond = next((part for part in [*parts, subgoal] if understand(part, files) is None), None)
    work = understand(subgoal, files)
    if work is None or beyond is not None:
        return _decline(
            f"I cannot read {(beyond or subgoal)[:300]!r} as a task that I can do.", tools
        )
    needed = "fetch_url" if isinstance(work, PageWork) else "python"
    if needed not in tools:
        return _decline(f"There is no `{needed}` tool here.", tools)
    if isinstance(work, PageWork):
        return _page_move(work, steps, files, found.get("Tips", ""), tools)
    if isinstance(work, CodeWork):
        return _code_move(work, own, tools)
    return _table_move(work, own, found.get("Tips", ""), tools)


def _plain(subgoal: str) -> str:
    return " ".join(subgoal.strip().removeprefix(ANOTHER_WAY).split())


def _own(question: str, steps: tuple[PastStep, ...]) -> list[tuple[PastStep, str]]:
    """Return the steps that worked on this question, each with its program."""
    own: list[tuple[PastStep, str]] = []
    for step in steps:
        for call in step.calls:
            code = call.argument("code")
            if call.tool == "python" and question_of(code) == question:
                own.append((step, code))
    return own


def _table_move(
    work: TableWork, own: list[tuple[PastStep, str]], tips: str, tools: dict[str, JsonObject]
) -> Move:
    first = {name: from_tips(name, unfenced(tips)) for name in work.files}
    if not own:
        told = [name for name, dialect in first.items() if dialect != plain(name)]
        thought = (
            f"I compute this with a program, reading {', '.join(told)} as the tips "
            f"say; I expect the"
            " answer."
            if told
            else f"I compute this with a program that takes {', '.join(work.files)} to be "
            f"plain: comma,"
            " point, UTF-8, header first, ISO dates. I expect the answer, or an error that tells"
            " what is otherwise."
        )
        return _run(thought, work, first)
    step, code = own[-1]
    assumed = dialects_of(code) or first
    mended = {name: mend(name, dialect, step.report) for name, dialect in assumed.items()}
    reason = _reason(step.report)
    if any(dialects_of(earlier) == mended for _, earlier in own):
        return _decline(f"The question could not be answered: {reason}", tools)
    return _run(f"The last step failed: {reason[:200]} I read the file accordingly.", work, mended)


def _run(thought: str, work: TableWork, dialects: dict[str, Dialect]) -> Move:
    code = table_program(work.question, dialects, work.queries)
    return Move(thought, "python", {"code": code})


def _code_move(
    work: CodeWork, own: list[tuple[PastStep, str]], tools: dict[str, JsonObject]
) -> Move:
    if own:
        return _decline(f"The program failed: {_reason(own[-1][0].report)}", tools)
    code = small_program(work.question, work.code, list(work.outputs))
    return Move(
        "I do this with a short program and expect it to print the answer.",
        "python",
        {"code": code},
    )


def _page_move(
    work: PageWork,
    steps: tuple[PastStep, ...],
    files: tuple[str, ...],
    tips: str,
    tools: dict[str, JsonObject],
) -> Move:
    question = re.sub(
        r"\s*\b(?:(?:on|at|from|in|of) )?(?:the )?(?:web ?)?(?:page |site |url |table (?:on|at) )?"
        + re.escape(work.url)
        + r"/?,?",
        " ",
        work.question,
    )
    question = re.sub(
        (
            r"^(?:please )?(?:fetch|open|read|get|visit|go to|look at|download)(?: the)"
            r"?(?: page| table| file| data)?\s*(?:,|and|then|:)*\s*"
        ),
        "",
        " ".join(question.split()),
        flags=re.IGNORECASE,
    ).strip()
    name = saved_name(work.url)
    tabular = "save_as" in tools["fetch_url"] and looks_tabular(question, work.url)
    fetches = [
        c for s in steps for c in s.calls if c.tool == "fetch_url" and c.argument("url") == work.url
    ]
    if not fetches:
        save: JsonObject = {"save_as": name} if tabular else {}
        return Move(
            "I fetch the page that the task names and expect its text.",
            "fetch_url",
            {"url": work.url, **save},
        )
    if not fetches[-1].ok:
        return _decline(f"The page could not be fetched: {fetches[-1].text[:300]}", tools)
    if tabular and (queries := parse_queries(question, files)):
        own = _own(question, steps)
        said = _answer_in(own[-1][0].report) if own and own[-1][0].outcome == "success" else ""
        if said:
            return _answer(said, outputs_of(own[-1][1]), tools)
        return _table_move(TableWork(question, (name,), queries), own, tips, tools)
    answer = answer_from_page(question, fetches[-1].text)
    nothing = f"I found nothing on {work.url} that answers {question!r}."
    return _answer(answer, [], tools) if answer else _decline(nothing, tools)


def _answer_in(report: str) -> str:
    found = re.search(r"^ANSWER: (.*)", report, re.DOTALL | re.MULTILINE)
    return found[1].strip() if found else ""


def _reason(report: str) -> str:
    """Return what went wrong, in one line."""
    for pattern in (
        r"DataProblem: (.+?)(?=\n\n|\nTraceback|\n\[stderr\]|\nreading |\Z)",
        r"^odd: (.+)",
        r"^\w*(?:Error|Exception): .+",
    ):
        if found := re.search(pattern, report, re.DOTALL if "Data" in pattern else re.MULTILINE):
            return " ".join((found[1] if found.groups() else found[0]).split())[:700]
    return " ".join(report.split())[:300]


def _answer(text: str, artifacts: list[str], tools: dict[str, JsonObject]) -> Move:
    arguments: JsonObject = {"text": text}
    made = [name for name in artifacts if name]
    if made and "artifacts" in tools.get("answer", {}):
        arguments["artifacts"] = made
    return Move(
        "The program's figures answer the question, so I hand them over.", "answer", arguments
    )


def _decline(why: str, tools: dict[str, JsonObject]) -> Move:
    arguments: JsonObject = {"text": why + _ABLE}
    if "solved" in tools.get("answer", {}):
        arguments["solved"] = False
    return Move("I cannot do this and say so.", "answer", arguments)
