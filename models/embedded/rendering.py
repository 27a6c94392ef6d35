"""Render what the Solver wants done as Python programs for the sandbox."""

import ast
import re
from functools import cache
from importlib.resources import files
from pprint import pformat
from textwrap import dedent

from models.embedded.dialect import Dialect
from models.embedded.query import Query

_PARTS = ("reading", "matching", "resolving", "computing", "asking")


class _Bare(ast.NodeTransformer):
    """Drops docstrings: they are for the reader of this project, not of the trace."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:  # noqa: N802 - ast's
        self.generic_visit(node)
        if ast.get_docstring(node) and len(node.body) > 1:
            node.body = node.body[1:]
        return node


@cache
def _library() -> str:
    """Return the parts of the table program as one text, without imports of each other."""
    imports: list[str] = []
    bodies: list[ast.stmt] = []
    for part in _PARTS:
        source = (files("models.embedded") / "programs" / f"{part}.py").read_text(encoding="utf-8")
        for node in ast.parse(source).body[1:]:
            if isinstance(node, ast.Import | ast.ImportFrom):
                line = ast.unparse(node)
                if "models.embedded" not in line and line not in imports:
                    imports.append(line)
            else:
                bodies.append(_Bare().visit(node))
    return "\n".join([*imports, *(ast.unparse(body) for body in bodies)])


def table_program(question: str, dialects: dict[str, Dialect], query: Query) -> str:
    """Return the program that answers a question from tables."""
    assumed = {name: dialect.as_dict() for name, dialect in dialects.items()}
    asked = {k: v for k, v in query.as_dict().items()}
    return "\n".join(
        [
            f"QUESTION = {question!r}",
            f"DIALECTS = {pformat(assumed, sort_dicts=False, width=100)}",
            f"QUERY = {pformat(asked, sort_dicts=False, width=100)}",
            _library(),
            "main(DIALECTS, QUERY)",
        ]
    )


def small_program(question: str, code: str) -> str:
    """Return a short program, headed by the question that it answers."""
    return f"QUESTION = {question!r}\n{dedent(code).strip()}\n"


def question_of(code: str) -> str:
    """Return the question that a program of ours answers; empty for other programs."""
    return str(_header(code, "QUESTION") or "")


def dialects_of(code: str) -> dict[str, Dialect]:
    """Return what a program of ours assumed about its files."""
    assumed = _header(code, "DIALECTS")
    if not isinstance(assumed, dict):
        return {}
    return {
        str(name): Dialect(**{**values, "missing": tuple(values["missing"])})
        for name, values in assumed.items()
    }


def _header(code: str, name: str) -> object:
    found = re.search(rf"^{name} = (.+?)(?=\n[A-Z]+ = |\n[a-z])", code, re.DOTALL | re.MULTILINE)
    try:
        return ast.literal_eval(found[1]) if found else None
    except (ValueError, SyntaxError):
        return None
