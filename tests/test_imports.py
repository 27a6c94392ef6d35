"""Importing is cheap and does nothing: heavy libraries wait until someone needs them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = (
    "chromadb",
    "docker",
    "kubernetes",
    "litellm",
    "onnxruntime",
    "playwright",
    "pydantic_monty",
    "tokenizers",
    "torch",
    "transformers",
)
FOR_HELP = (*HEAVY, "fastapi", "httpx", "langgraph", "numpy", "pydantic", "rich", "sqlalchemy")


def _loaded(code: str, forbidden: tuple[str, ...]) -> str:
    """Run code in a fresh interpreter and return which of these it imported."""
    tail = f"\nimport sys; print(sorted(set(sys.modules) & set({forbidden!r})))"
    done = subprocess.run(
        [sys.executable, "-c", code + tail],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def _every_module(package: str) -> str:
    return f"""
import importlib, pkgutil, {package}
for module in pkgutil.walk_packages({package}.__path__, prefix={package!r} + "."):
    if not module.name.endswith("__main__") and ".migrations" not in module.name:
        importlib.import_module(module.name)
"""


@pytest.mark.parametrize("package", ["app", "agents", "tools", "memory", "sandboxes", "models"])
def test_importing_every_module_of_a_package_leaves_heavy_libraries_alone(package: str) -> None:
    assert _loaded(_every_module(package), HEAVY) == "[]"


@pytest.mark.parametrize("words", ["--help", "solve --help", "tasks list --help"])
def test_help_needs_nothing_but_the_standard_library(words: str) -> None:
    code = f"""
import contextlib, io
from app.cli.main import main
with contextlib.redirect_stdout(io.StringIO()) as shown:
    assert main({words.split()!r}) == 0
assert "usage: strop" in shown.getvalue()
"""
    assert _loaded(code, FOR_HELP) == "[]"
