"""The Solver: choose the next action from the prompt alone."""

import re
from dataclasses import dataclass

from models.embedded.dialect import Dialect, from_tips, mend
from models.embedded.pages import answer_from_page, looks_tabular, saved_name
from models.embedded.query import parse_query
from models.embedded.rendering import dialects_of, question_of, small_program, table_program
from models.embedded.sections import PastStep, past_steps, unfenced, workspace_files
from models.embedded.understanding import CodeWork, PageWork, TableWork, Work, parts_of, understand
from models.messages import JsonObject, Request

ANOTHER_WAY = "Look at the data again and finish: "
DECLINED = (
    "This is beyond the embedded model, a small program that answers questions over tables (filter, group,"
    " sum, mean, count, top, join), reckons with numbers, units and dates, searches and edits text files,"
    " and reads single pages. {why} For anything else connect a real model: set STROP_MODEL (with"
    " the provider's API key), or start a local server such as Ollama."
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
    work = understand(subgoal, files)
    steps = past_steps(found.get("History", ""))
    unknown = next((p for p in parts_of(found.get("Task", "")) if not _known(p, files, steps)), "")
    if work is None or unknown:
        piece = subgoal if work is None else unknown
        return _decline(f"I cannot read this as such a task: {piece[:300]!r}.", tools)
    if "python" not in tools and not isinstance(work, PageWork):
        return _decline("There is no `python` tool here.", tools)
    if isinstance(work, PageWork):
        return _page_move(work, steps, files, found.get("Tips", ""), tools)
    if isinstance(work, CodeWork):
        return _code_move(work, steps, tools)
    return _table_move(work, steps, found.get("Tips", ""), tools)


def _plain(subgoal: str) -> str:
    return subgoal.strip().removeprefix(ANOTHER_WAY).strip()


def _known(part: str, files: tuple[str, ...], steps: tuple[PastStep, ...]) -> bool:
    """Return whether a part is understood, or was when the workspace was another."""
    return understand(part, files) is not None or any(
        question_of(call.argument("code")) == " ".join(part.split())
        for step in steps
        for call in step.calls
    )


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
    work: TableWork, steps: tuple[PastStep, ...], tips: str, tools: dict[str, JsonObject]
) -> Move:
    own = _own(work.question, steps)
    first = {name: from_tips(name, unfenced(tips)) for name in work.files}
    if not own:
        told = [name for name, dialect in first.items() if dialect != from_tips(name, "")]
        thought = (
            f"I compute this with a program, reading {', '.join(told)} as the tips say; I expect the answer."
            if told
            else f"I compute this with a program that takes {', '.join(work.files)} to be plain: comma, point,"
            " UTF-8, header first, ISO dates. I expect the answer, or an error that tells what is otherwise."
        )
        return _run(thought, work, first)
    step, code = own[-1]
    if step.outcome == "success" and (answer := _answer_in(step.report)):
        return _answer(answer, [work.query.output], tools)
    assumed = dialects_of(code) or first
    mended = {name: mend(name, dialect, step.report) for name, dialect in assumed.items()}
    if mended == assumed:
        mended = _by_traceback(assumed, step.report)
    tried = [dialects_of(earlier) for _, earlier in own]
    if mended in tried:
        reason = _reason(step.report)
        return _decline(f"The program could not answer: {reason}", tools)
    return _run(
        f"The last program failed: {_reason(step.report)[:200]} I read the file accordingly.",
        work,
        mended,
    )


def _by_traceback(assumed: dict[str, Dialect], report: str) -> dict[str, Dialect]:
    """Mend all files alike where an error does not name one."""
    return {name: mend(name, dialect, report) for name, dialect in assumed.items()}


def _run(thought: str, work: TableWork, dialects: dict[str, Dialect]) -> Move:
    return Move(thought, "python", {"code": table_program(work.question, dialects, work.query)})


def _code_move(work: CodeWork, steps: tuple[PastStep, ...], tools: dict[str, JsonObject]) -> Move:
    own = _own(work.question, steps)
    if not own:
        return Move(
            "I do this with a short program and expect it to print the answer.",
            "python",
            {"code": small_program(work.question, work.code)},
        )
    step, _ = own[-1]
    answer = _answer_in(step.report)
    if step.outcome == "success" and answer:
        return _answer(answer, work.output.split(","), tools)
    return _decline(f"The program failed: {_reason(step.report)}", tools)


def _page_move(
    work: PageWork,
    steps: tuple[PastStep, ...],
    files: tuple[str, ...],
    tips: str,
    tools: dict[str, JsonObject],
) -> Move:
    if "fetch_url" not in tools:
        return _decline("There is no `fetch_url` tool here.", tools)
    question = re.sub(
        r"\s*\b(?:(?:on|at|from|in|of) )?(?:the )?(?:web ?)?(?:page |site |url |table (?:on|at) )?"
        + re.escape(work.url)
        + r"/?,?",
        " ",
        work.question,
    )
    question = re.sub(
        r"^(?:please )?(?:fetch|open|read|get|visit|go to|look at|download)(?: the)?(?: page| table| file| data)?\s*(?:,|and|then|:)*\s*",
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
    if tabular and (query := parse_query(question, files)):
        return _table_move(TableWork(question, (name,), query), steps, tips, tools)
    answer = answer_from_page(question, fetches[-1].text)
    if answer is None:
        return _decline(f"I found nothing on {work.url} that answers {question!r}.", tools)
    return _answer(answer, [], tools)


def _answer_in(report: str) -> str:
    found = re.search(r"^ANSWER: (.*)", report, re.DOTALL | re.MULTILINE)
    return found[1].strip() if found else ""


def _reason(report: str) -> str:
    """Return what went wrong, in one line."""
    for pattern in (
        r"DataProblem: (.+?)(?=\n\n|\nTraceback|\n\[stderr\]|$)",
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
    arguments: JsonObject = {"text": DECLINED.format(why=why)}
    if "solved" in tools.get("answer", {}):
        arguments["solved"] = False
    return Move("I cannot do this and say so.", "answer", arguments)
