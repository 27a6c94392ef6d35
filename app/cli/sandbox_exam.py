"""`strop sandboxes check`: let backends sit their exam, and tell what held."""

import platform
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.cli.exam_progress import Progress, progress_for
from app.cli.exits import CliError, Exit
from app.cli.text import one_line, say, say_json
from app.sandboxing import SandboxDesk
from app.settings import load_settings
from sandboxes.base import Capabilities, Isolation, SandboxBackend, SandboxUnavailableError
from sandboxes.base import discover as find_backends
from sandboxes.check import CheckResult, all_checks, parts, run_checks
from sandboxes.selection import make, select


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backend that is to be examined, or why it cannot be."""

    name: str
    backend: SandboxBackend | None
    capabilities: Capabilities | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one backend answered."""

    candidate: Candidate
    results: Sequence[CheckResult]

    @property
    def broken(self) -> int:
        """How many checks found a fault."""
        return sum(result.held is False for result in self.results)

    @property
    def promises(self) -> bool:
        """Whether it claims to protect anything."""
        found = self.candidate.capabilities
        return found is not None and found.isolation > Isolation.NONE

    def summary(self) -> str:
        """Return the numbers in one line."""
        if self.candidate.backend is None:
            return f"{self.candidate.name}: not examined, {one_line(self.candidate.reason, 160)}"
        held = sum(result.held is True for result in self.results)
        untried = len(self.results) - held - self.broken
        line = f"{self.candidate.name}: {held} held, {self.broken} broken, {untried} not tried"
        if self.broken and not self.promises:
            line += " (it protects nothing: what broke shows that the attacks are real)"
        return line

    def remarks(self) -> list[str]:
        """Return a line for each check that broke, and for each reason of not trying."""
        reasons = Counter(r.detail.splitlines()[0] for r in self.results if r.held is None)
        broken = [
            f"  BROKEN {r.name}: {one_line(r.detail)}" for r in self.results if r.held is False
        ]
        untried = [f"  not tried ({n}): {one_line(why)}" for why, n in reasons.most_common(5)]
        return [*(broken if self.promises else []), *untried]


async def check(args: Namespace) -> int:
    """Let the chosen backend, or every one, sit its exam."""
    if args.json and args.markdown:
        raise CliError(Exit.WRONG_USE, "expected one of --json and --markdown")
    candidates = await _candidates(args)
    progress = progress_for(lines=not (args.json or args.markdown))
    sheets = [await examine(candidate, progress) for candidate in candidates]
    if args.json:
        found = [as_document(sheet) for sheet in sheets]
        say_json({"machine": machine(), "backends": found} if args.all else found[0])
    elif args.markdown:
        say(as_markdown(sheets))
    else:
        for sheet in sheets:
            say("\n".join([sheet.summary(), *sheet.remarks()]))
    failed = any(sheet.broken for sheet in sheets if sheet.promises or not args.all)
    return Exit.FAILED if failed else Exit.DONE


async def _candidates(args: Namespace) -> list[Candidate]:
    desk = SandboxDesk(load_settings())
    if args.all and args.name:
        raise CliError(Exit.WRONG_USE, "expected a backend's name or --all, not both")
    if args.all:
        return await every_candidate(desk.options)
    selected = await select(args.name, desk.options) if args.name else await desk.selected()
    return [Candidate(selected.name, selected.backend, selected.capabilities)]


async def every_candidate(options: dict[str, str]) -> list[Candidate]:
    """Return each backend there is, with why it cannot work here."""
    found: list[Candidate] = []
    for name, factory in sorted(find_backends().items()):
        backend = make(factory, options)
        try:
            found.append(Candidate(name, backend, await backend.probe()))
        except SandboxUnavailableError as error:
            found.append(Candidate(name, None, reason=str(error)))
    return found


async def examine(candidate: Candidate, progress: Progress) -> Sheet:
    """Ask a backend everything and show how it goes."""
    results: list[CheckResult] = []
    if candidate.backend is not None:
        progress.begin(candidate.name, len(all_checks()))
        try:
            async for result in run_checks(candidate.backend):
                results.append(result)
                progress.show(result)
        finally:
            progress.close()
    return Sheet(candidate, results)


def as_document(sheet: Sheet) -> dict[str, Any]:
    """Return a sheet for machines."""
    document: dict[str, Any] = {"backend": sheet.candidate.name, "results": list(sheet.results)}
    if sheet.candidate.backend is None:
        document["unavailable"] = sheet.candidate.reason
    return document


def machine() -> str:
    """Return where and when this is, in a line."""
    found = platform.uname()
    day = datetime.now(tz=UTC).date().isoformat()
    kernel = f"{found.system} {found.release.partition('-')[0]}, {found.machine}"
    return f"{kernel}, Python {platform.python_version()}, {day}"


def as_markdown(sheets: Sequence[Sheet]) -> str:
    """Return a table of checks and backends, with the reasons of what was not tried below."""
    reasons: dict[str, str] = {}
    head = ["", *(sheet.candidate.name for sheet in sheets)]
    lines = [f"Examined on {machine()}.", "", _row(head), _row(["---"] * len(head))]
    for title, checks in parts().items():
        lines.append(_row([f"**{title}**", *[""] * len(sheets)]))
        for one in checks:
            cells = [_cell(sheet, one.name, reasons) for sheet in sheets]
            lines.append(_row([one.name, *cells]))
    lines += ["", *(f"{letter}: {reason}" + "  " for reason, letter in reasons.items())]
    return "\n".join(lines).rstrip()


def _cell(sheet: Sheet, name: str, reasons: dict[str, str]) -> str:
    detail = sheet.candidate.reason
    for result in sheet.results:
        if result.name == name:
            if result.held is not None:
                return "held" if result.held else "**broken**"
            detail = result.detail
    first = detail.splitlines()[0] if detail else "not asked"
    plain = one_line(first.replace(str(Path.home()), "~"), 120)
    letter = reasons.setdefault(plain, _letter(len(reasons)))
    return f"not tried ({letter})"


def _letter(number: int) -> str:
    first, last = divmod(number, 26)
    return (_letter(first - 1) if first else "") + chr(ord("a") + last)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
