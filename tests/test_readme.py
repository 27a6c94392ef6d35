"""What the README says can be typed, set, opened or seen is really there."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from app.cli.arguments import build_parser
from app.settings import Settings, variable_of
from models.catalogue import Catalogue
from models.selection import PROVIDER_KEYS
from tools.base import discover

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "AGENTS.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = PAGES[0].read_text(encoding="utf-8")
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def _commands() -> list[str]:
    shells = "\n".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL))
    inline = re.findall(
        r"`([^`]*\./strop\s[^`]*)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
    )
    lines = [line.split("  #")[0] for line in shells.splitlines() if "./strop" in line]
    return sorted({" ".join(command.split()) for command in [*lines, *inline]})


def _targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


@pytest.mark.parametrize("command", _commands())
def test_every_strop_command_is_understood(command: str) -> None:
    words = shlex.split(command)
    start = words.index("./strop") + 1
    try:
        assert build_parser().parse_args(words[start:]).command
    except SystemExit as end:
        assert end.code == 0, "only help ends by itself"  # noqa: PT017 - a normal end is fine


def _made() -> set[str]:
    shells = "\n".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL))
    in_shells = set(re.findall(r"^make ([a-z-]+)\b", shells, re.MULTILINE))
    return in_shells | set(re.findall(r"`make ([a-z-]+)\b", TEXT))


@pytest.mark.parametrize("target", sorted(_made()))
def test_every_make_target_exists(target: str) -> None:
    assert target in _targets()


def test_make_alone_lists_the_targets_with_what_they_do() -> None:
    done = subprocess.run(
        ["make"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    for target in ("setup", "demo", "serve", "test", "check", "bench", "clean"):
        assert re.search(rf"^  make {target} +\S", done.stdout, re.MULTILINE), done.stdout


def test_every_variable_is_a_setting_or_a_key_of_a_provider() -> None:
    known = {variable_of(name) for name in Settings.model_fields}
    keys = {key for names in PROVIDER_KEYS.values() for key in names}
    assert set(re.findall(r"\bSTROP_[A-Z_]+\b", TEXT)) <= known
    assert set(re.findall(r"\b[A-Z]+_API_KEY\b", TEXT)) <= keys


def test_every_setting_is_listed_with_its_default() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(STROP_[A-Z_]+)` \| `?(.*?)`? \|", page, re.MULTILINE))
    fresh = {
        setting.variable: setting.value
        for setting in Settings.model_construct().effective()
        if setting.variable != "STROP_APPROVAL"
    }
    assert rows.pop("STROP_APPROVAL") == "-"
    assert rows == {variable: value or "-" for variable, value in fresh.items()}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"STROP_MODEL=(\S+)", README)) - {"auto`,"}))
def test_every_model_that_is_named_is_known(name: str) -> None:
    assert Catalogue().get(name).model_id


def test_every_tool_that_exists_is_named_and_no_other() -> None:
    (row,) = re.findall(r"^\| tools \| ([^|]*) \|", README, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == {
        name for name, tool in discover().items() if tool.run.__module__.startswith("tools.")
    }


def test_the_list_of_folders_is_whole() -> None:
    (tree,) = re.findall(r"## The folders\n\n```text\n(.*?)```", README, re.DOTALL)
    named = {line.split("/")[0] for line in tree.splitlines()}
    ignored = {".git", ".venv", ".tools", ".ci", ".github"}
    there = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."}
    assert named == there - ignored - {"__pycache__", "node_modules"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_guide_for_contributors_stays_short() -> None:
    assert len((ROOT / "AGENTS.md").read_text(encoding="utf-8").splitlines()) <= 150
