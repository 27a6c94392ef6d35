"""Render what the Solver wants done as Python programs for the sandbox."""

import ast
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pprint import pformat
from textwrap import dedent
from typing import Any, cast

from models.embedded.dialect import Dialect
from models.embedded.programs.matching import ALIKE, stem
from models.embedded.programs.resolving import GENERIC
from models.embedded.query import Query

_PARTS = ("reading", "matching", "resolving", "computing", "asking")


class _Bare(ast.NodeTransformer):
    """Drops docstrings: they are for the reader of this project, not of the trace."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        if ast.get_docstring(node) and len(node.body) > 1:
            node.body = node.body[1:]
        return node


@cache
def _library() -> tuple[tuple[str, str], ...]:
    """Return the imports and definitions of the table program, each with its name."""
    pieces: dict[str, str] = {}
    for part in _PARTS:
        source = (files("models.embedded") / "programs" / f"{part}.py").read_text(encoding="utf-8")
        for node in ast.parse(source).body[1:]:
            line = ast.unparse(_Bare().visit(node))
            if "models.embedded" not in line:
                pieces.setdefault(line, getattr(node, "name", ""))
    imports = [item for item in pieces.items() if re.match("import |from ", item[0])]
    return (*imports, *(item for item in pieces.items() if item not in imports))


def _unneeded(dialects: Iterable[str], queries: tuple[Query, ...]) -> set[str]:
    """Return the names of the functions that these queries never call."""
    names = list(dialects)
    listings = [query.ops in (["rows"], ["value"]) for query in queries]
    both = list(zip(queries, listings, strict=True))
    rules = {
        "flat read_json": not any(".json" in n or ".ndjson" in n for n in names),
        "HtmlTables read_html": not any(n.endswith((".html", ".htm")) for n in names),
        "joined": len(names) == 1,
        "share": all(query.ops != ["share"] for query in queries),
        "listing": not any(listings),
        "write": not any(query.output for query in queries),
        "compare": not any(query.filters for query in queries),
        "keys order_of grouped": all(not query.group or listing for query, listing in both),
        "scalar": all(query.group or listing for query, listing in both),
        "as_product": all(query.ops != ["sum"] for query in queries),
        "together": len(queries) == 1,
        "need_column": all(not query.filters for query in queries),
        "date dates dated date_parts date_column part": not any(map(_is_dated, queries)),
    }
    return {name for words, idle in rules.items() if idle for name in words.split()}


def _is_dated(query: Query) -> bool:
    return bool(query.periods or query.parts or query.sort_by or query.group[:1] == "@")


def _shortened(text: str, question: str) -> str:
    """Return a list of words without the entries that cannot play a part in a question."""
    words = set(re.findall(r"[^\W_]+", question.lower()))
    asked = words | {stem(word) for word in words}
    if text.startswith("GENERIC ="):
        return f"GENERIC = {sorted(GENERIC & words)!r}"
    if text.startswith("ALIKE ="):
        kept = [group for group in ALIKE if {stem(word) for word in group} & asked]
        return f"ALIKE = {[sorted(group) for group in kept]!r}"
    return text


def table_program(question: str, dialects: dict[str, Dialect], queries: tuple[Query, ...]) -> str:
    """Return the program that answers a question from tables."""
    assumed = {name: dialect.as_dict() for name, dialect in dialects.items()}
    idle = _unneeded(dialects, queries)
    return "\n".join(
        [
            f"QUESTION = {question!r}",
            f"OUTPUTS = {list(dict.fromkeys(q.output for q in queries if q.output))!r}",
            f"DIALECTS = {pformat(assumed, sort_dicts=False, width=100)}",
            f"QUERIES = {pformat([q.as_dict() for q in queries], sort_dicts=False, width=100)}",
            *(
                _shortened(text, f"{question} {queries}")
                for text, name in _library()
                if name not in idle
            ),
            "main(DIALECTS, QUERIES)\n",
        ]
    )


def small_program(question: str, code: str, outputs: list[str]) -> str:
    """Return a short program, headed by the question that it answers."""
    return f"QUESTION = {question!r}\nOUTPUTS = {outputs!r}\n{dedent(code).strip()}\n"


def question_of(code: str) -> str:
    """Return the question that a program of ours answers; empty for other programs."""
    return str(_header(code, "QUESTION") or "")


def dialects_of(code: str) -> dict[str, Dialect]:
    """Return what a program of ours assumed about its files."""
    assumed = _header(code, "DIALECTS")
    if not isinstance(assumed, dict):
        return {}
    return {
        name: replace(Dialect(), **{**values, "missing": tuple(values["missing"])})
        for name, values in cast("dict[str, dict[str, Any]]", assumed).items()
    }


def outputs_of(code: str) -> list[str]:
    """Return the files that a program of ours makes."""
    made = _header(code, "OUTPUTS")
    return [str(name) for name in cast("list[object]", made)] if isinstance(made, list) else []


def _header(code: str, name: str) -> object:
    """Return a value from the head of a program, whose rest may have been cut off."""
    head = re.split(r"\n(?=import |from |def |class )", code, maxsplit=1)[0]
    try:
        for node in ast.parse(head).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                return ast.literal_eval(node.value)
    except (ValueError, SyntaxError):
        return None
    return None
