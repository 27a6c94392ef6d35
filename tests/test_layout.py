"""The checkout owns its top-level names, and its files and functions stay small."""

import ast
import importlib.util
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PROJECT["tool"]["uv"]["build-backend"]["module-name"]
FILE_LINES = 500
FUNCTION_LINES = 60


def _sources() -> Iterator[Path]:
    for folder in (*PACKAGES, "tests", "benchmarks"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def _lines(node: ast.expr | ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _snapshots(function: ast.AST) -> Iterator[ast.Call]:
    """What a snapshot holds is data that a tool wrote, not code that someone reads."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "snapshot":
            yield node


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_name_means_the_folder_of_this_checkout(name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).parent == ROOT / name


def test_no_other_distribution_ships_one_of_our_names() -> None:
    owners = packages_distributions()
    others = {name: set(owners.get(name, [])) - {"strop"} for name in PACKAGES}
    assert {name: found for name, found in others.items() if found} == {}


def test_every_folder_with_code_is_declared_to_the_build() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders - {"benchmarks"} == set(PACKAGES)


def test_the_project_cannot_be_uploaded_and_has_no_console_script() -> None:
    project = PROJECT["project"]
    assert "Private :: Do Not Upload" in project["classifiers"]
    assert "scripts" not in project


def test_tests_are_no_packages_so_that_they_shadow_nothing() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_no_file_is_longer_than_one_sitting() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in _sources()}
    assert {str(p.relative_to(ROOT)): n for p, n in lengths.items() if n > FILE_LINES} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long: dict[str, int] = {}
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = _lines(node) - sum(_lines(call) for call in _snapshots(node))
                if lines > FUNCTION_LINES:
                    long[f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] = lines
    assert long == {}
