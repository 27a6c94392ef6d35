"""`strop sandboxes`: see and examine where code runs."""

import sys
import tempfile
from argparse import Namespace
from pathlib import Path

from app.cli.exits import CliError, Exit
from app.cli.narration import narrate
from app.cli.text import note, one_line, say, say_json, table
from app.sandboxing import SandboxDesk
from app.settings import load_settings
from sandboxes.base import Capabilities, Egress, SandboxSpec, SandboxUnavailableError
from sandboxes.base import discover as find_backends
from sandboxes.docker_engine import Engine
from sandboxes.selection import make


async def list_backends(args: Namespace) -> int:
    """Print every backend and what it enforces on this machine."""
    chosen, reason = "", ""
    desk = SandboxDesk(load_settings())
    try:
        selected = await desk.selected()
        chosen, reason = selected.name, selected.reason
    except SandboxUnavailableError as error:
        reason = str(error)
    rows: list[tuple[str, str, str, Capabilities | None]] = []
    for name, factory in sorted(find_backends().items()):
        try:
            found = await make(factory, desk.options).probe()
        except SandboxUnavailableError as error:
            rows.append((name, "unavailable", one_line(str(error), 160), None))
        else:
            rows.append((name, found.isolation.name.lower(), _enforced(found), found))
    if args.json:
        listed = [
            {"name": r[0], "isolation": r[1], "detail": r[2], "capabilities": r[3]} for r in rows
        ]
        say_json({"chosen": chosen, "reason": reason, "backends": listed})
        return Exit.DONE
    marked = [("*" if row[0] == chosen else "", *row[:3]) for row in rows]
    say(table(("", "backend", "isolation", "enforces"), marked))
    note(f"* chosen: {reason}" if chosen else reason)
    return Exit.DONE


async def run(args: Namespace) -> int:
    """Run one command in a fresh sandbox, as a task would, and pass on what it prints."""
    settings = load_settings()
    desk = SandboxDesk(settings)
    selected = await desk.selected()
    with tempfile.TemporaryDirectory(prefix="strop-run-") as folder:
        spec = SandboxSpec(
            workspace=Path(folder) / "workspace",
            network=desk.network,
            secrets=settings.sandbox_secrets,
            min_isolation=desk.min_isolation,
        )
        place = await selected.backend.create(spec, watch=_note_egress)
        try:
            result = await place.exec(args.words)
        finally:
            await place.close()
    if args.json:
        say_json(
            result.model_dump(mode="json", exclude={"stdout", "stderr"})
            | {"stdout": result.stdout.decode(errors="replace")}
            | {"stderr": result.stderr.decode(errors="replace")}
        )
        return Exit.DONE if result.ok else Exit.FAILED
    sys.stdout.buffer.write(result.stdout)
    sys.stderr.buffer.write(result.stderr)
    sys.stdout.flush()
    if result.killed or result.exit_code is None:
        raise CliError(Exit.FAILED, f"the sandbox ended the command: {result.outcome}")
    return Exit.DONE if result.ok else Exit.FAILED


async def build(args: Namespace) -> int:
    """Build the image that docker sandboxes run, under the name that the settings say."""
    settings = load_settings()
    engine = Engine(settings.docker_host)
    try:
        tell = note if not args.json else _say_nothing
        await engine.ask(engine.build, settings.docker_image, args.base, tell)
    finally:
        engine.close()
    if args.json:
        say_json({"image": settings.docker_image})
    else:
        say(f"built {settings.docker_image}; to use it: STROP_SANDBOX=docker")
    return Exit.DONE


_FLAGS = (
    *("tree_memory", "pids", "disk_quota", "tree_kill", "syscall_filter"),
    *("network_none", "network_allowlist", "ports"),
)
"""What a backend may enforce or offer, by the names in `Capabilities`."""


def _note_egress(egress: Egress) -> None:
    for line in narrate("egress", egress.model_dump()):
        note(line.strip())


def _say_nothing(_: str) -> None:
    """Keep quiet, for who reads JSON."""


def _enforced(found: Capabilities) -> str:
    held = [flag.replace("_", " ") for flag in _FLAGS if getattr(found, flag)]
    return ", ".join(held) or "nothing"
