"""`strop doctor`: what is available here, what is chosen and why, and what would mend the rest."""

import platform
import shutil
import sys
from argparse import Namespace
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Literal

from app.cli.exits import Exit
from app.cli.text import say, say_json, table
from app.errors import SettingsError
from app.models import ModelDesk
from app.sandboxing import SandboxDesk
from app.settings import Settings, load_settings
from app.wiring import open_runtime
from models.base import ModelError
from models.discovery import discover
from models.embedders.auto import choose_embedder
from models.messages import Frozen
from sandboxes.base import SandboxError


class Finding(Frozen):
    """One part that was looked at."""

    name: str
    state: Literal["ok", "weak", "missing"]
    """`weak` works, but not as well as it could; `missing` keeps tasks from being worked on."""
    detail: str
    remedy: str = ""
    """What would mend it, or what one should know."""


_MARKS = {"ok": "ok", "weak": "weak", "missing": "MISSING"}


async def doctor(args: Namespace) -> int:
    """Look at everything and print it; exit code 3 when something needed is missing."""
    settings = load_settings()
    if args.settings:
        _print_settings(settings, json=args.json)
        return Exit.DONE
    findings: list[Finding] = []
    async for finding in _examine(settings):
        findings.append(finding)
        if not args.json:
            _print(finding)
    missing = [finding.name for finding in findings if finding.state == "missing"]
    if args.json:
        say_json({"ok": not missing, "findings": findings})
    else:
        say(f"\nmissing: {', '.join(missing)}" if missing else "\nStrop can work here.")
    return Exit.MISSING if missing else Exit.DONE


async def _examine(settings: Settings) -> AsyncIterator[Finding]:
    yield Finding(
        name="python",
        state="ok",
        detail=f"{platform.python_version()} at {sys.executable}; Strop {version('strop')}",
    )
    yield await _home(settings)
    yield await _sandbox(settings)
    yield await _model(settings)
    yield await _servers()
    yield _embedder(settings)


async def _home(settings: Settings) -> Finding:
    try:
        async with open_runtime(settings, work=False) as runtime:
            checks = await runtime.checks.ready()
            free = shutil.disk_usage(runtime.home.path).free
    except SettingsError as error:
        return Finding(name="home", state="missing", detail=str(error))
    wrong = [f"{check.name}: {check.detail}" for check in checks if not check.ok]
    if wrong:
        return Finding(name="home", state="missing", detail="; ".join(wrong))
    kind = settings.database_url.partition(":")[0] or "sqlite"
    detail = f"{settings.home_path}; database {kind}, up to date; {free >> 30} GiB of disk free"
    return Finding(name="home", state="ok", detail=detail)


async def _sandbox(settings: Settings) -> Finding:
    try:
        selected = await SandboxDesk(settings).selected()
    except SandboxError as error:
        return Finding(name="sandbox", state="missing", detail=str(error))
    notes = selected.capabilities.notes
    return Finding(
        name="sandbox",
        state="weak" if notes else "ok",
        detail=f"{selected.name}: {selected.reason}",
        remedy=" ".join(notes),
    )


async def _model(settings: Settings) -> Finding:
    try:
        chosen = await ModelDesk(settings).chosen()
    except ModelError as error:
        return Finding(name="model", state="missing", detail=str(error))
    way = "; ".join(chosen.considered)
    detail = f"{chosen.info.name}: {chosen.reason}" + (f" (before: {way})" if way else "")
    return Finding(name="model", state="ok", detail=detail, remedy=chosen.info.note)


async def _servers() -> Finding:
    found = await discover()
    servers = [f"{one.server} at {one.base_url} with {len(one.models)} models" for one in found]
    detail = "; ".join(servers) or "no local model server answers"
    return Finding(name="servers", state="ok", detail=detail)


def _embedder(settings: Settings) -> Finding:
    choice = choose_embedder(settings.embedding)
    if choice.embedder is not None:
        return Finding(name="embedder", state="ok", detail=choice.reason)
    return Finding(
        name="embedder",
        state="weak",
        detail=choice.reason,
        remedy="Memory then searches by words alone; `make setup` tries to get the weights again.",
    )


def _print(finding: Finding) -> None:
    say(f"{_MARKS[finding.state]:<8} {finding.name:<9} {finding.detail}")
    if finding.remedy:
        say(f"{'':<18} {finding.remedy}")


def _print_settings(settings: Settings, *, json: bool) -> None:
    effective = settings.effective()
    if json:
        say_json(effective)
        return
    rows = [(item.variable, item.value, item.origin) for item in effective]
    say(table(("setting", "value", "from"), rows))
