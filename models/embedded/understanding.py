"""Decide what kind of work a text asks for, and cut a task into its parts."""

import re
from dataclasses import dataclass

from models.embedded.arithmetic import calculation
from models.embedded.query import Query, take_output
from models.embedded.questions import parse_queries
from models.embedded.textops import text_work

TABLE_ENDINGS = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json")
_BEYOND = re.compile(
    r"\b(?:translat\w+|summari[sz]e|summary of the (?:text|article|document|book)|poem"
    r"|song|story|essay|joke|haiku|limerick|e-?mail to|letter|"
    r"explain|why|opinion|recommend\w*|suggest\w*|advice|predict\w*|forecast\w*|train"
    r"|classif\w+|sentiment|cluster\w*|"
    r"regression|correlat\w+|plot|chart|graph|draw|image|picture|photo|implement"
    r"|refactor|debug|compile|deploy|install|delete|remove|"
    r"buy|book a|send|call|schedule|remind|search the (?:web|internet)|google|median "
    r"of means|compare .* and .* in words|"
    r"rewrite|paraphrase|proofread|play|simulate|prove|difference between the|how does"
    r"|how do i|what should|moving average|outliers?)\b",
    re.IGNORECASE,
)
_STEP = re.compile(
    r"(?:\.|;|,|\n)?\s*\b(?:and then|then|after that|afterwards|finally|next|secondly|also)\b,?\s+"
    r"(?=(?:what|which|how|who|when|list|count|find|compute|calculate|give|tell|show"
    r"|rename|move|copy|replace|extract|sort|fetch|convert"
    r"|(?:write|save|store|put|export)(?! (?:it|them|this|that|the (?:results?|answer"
    r"|table|list))\b))\b)"
    r"|\n?\s*(?:^|(?<=\s))\d+[.)]\s+(?=[A-Z])|(?:^|\n)\s*[-*]\s+(?=[A-Z])|(?<=[.?!])\s+(?=(?:What|Which"
    r"|How|Who|When|List|Count|Find|Give|Compute|Calculate|Rename|Move|Copy|Replace|Extract"
    r"|Sort|Convert)\b)",
    re.IGNORECASE,
)
_TOGETHER = re.compile(
    r"\b(?:write|save|store|put|export) (?:both|all|them|everything"
    r"|the (?:results|answers|figures))\b",
    re.IGNORECASE,
)
"""All answers belong into one file, so that one program has to give them."""


@dataclass(frozen=True)
class TableWork:
    """A question over tables."""

    question: str
    files: tuple[str, ...]
    queries: tuple[Query, ...]


@dataclass(frozen=True)
class CodeWork:
    """Something that a short program does."""

    question: str
    code: str
    outputs: tuple[str, ...] = ()
    """Files that it makes."""


@dataclass(frozen=True)
class PageWork:
    """A question over a page that has to be fetched first."""

    question: str
    url: str


Work = TableWork | CodeWork | PageWork


def parts_of(task: str) -> list[str]:
    """Return the pieces of a task that follow one another, at least one."""
    output = take_output(task, ())[1]
    if output and _TOGETHER.search(task) and not re.search(r"https?://", task):
        return [task.strip()]
    protected = re.sub(r"(?<=\d)\.(?=\d)|(?<=\w)\.(?=\w)", "\x00", task)
    pieces = [p.replace("\x00", ".").strip(" \n,;") for p in re.split(_STEP, protected) if p]
    pieces = [p for p in pieces if re.search(r"\w{2}", p)]
    merged: list[str] = []
    for piece in pieces:
        if merged and (_only_remark(piece) or _only_remark(merged[-1])):
            merged[-1] += " " + piece
        else:
            merged.append(piece)
    return merged or [task.strip()]


def _only_remark(text: str) -> bool:
    return not re.search(
        (
            r"\b(?:what|which|how|who|when|where|list|count|find|compute|calculate|give"
            r"|tell|show|rename|move|copy|replace|extract|sort|convert|average|total|sum"
            r"|mean|write|save|join|top|number of|fetch|percentage)\b"
        ),
        text, re.IGNORECASE,
    )  # fmt: skip


def understand(text: str, files: tuple[str, ...]) -> Work | None:
    """Return the work that one part of a task asks for, None when it is none of ours."""
    question = " ".join(text.split())
    if url := re.search(r"https?://[^\s<>\"'`]+", question):
        return PageWork(question, url[0].rstrip(".,;:?!)"))
    bare = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", " ", question)
    if _BEYOND.search(bare):
        return None
    if code := calculation(question):
        return CodeWork(question, code)
    if found := text_work(question, files):
        return CodeWork(question, *found)
    tables = choose_tables(question, files)
    queries = parse_queries(question, files) if tables else ()
    return TableWork(question, tables, queries) if queries else None


def choose_tables(question: str, files: tuple[str, ...]) -> tuple[str, ...]:
    """Return the tables that a question names, else those it may be about."""
    tables = tuple(name for name in files if name.lower().endswith(TABLE_ENDINGS))
    named = [name for name in tables if name in question or name.rsplit("/", 1)[-1] in question]
    if named:
        return tuple(sorted(named, key=question.find))
    words = {word.rstrip("s") for word in re.findall(r"[a-z]+", question.lower())}
    alike = [
        n
        for n in tables
        if words & {w.rstrip("s") for w in re.findall(r"[a-z]{3,}", n.rsplit(".", 1)[0].lower())}
    ]
    others = [name for name in tables if name not in alike]
    return tuple((alike + others)[:6])
