"""A server and workers on one database that can be killed, frozen and cut from their locks."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from sandboxes.base import SandboxError
from sandboxes.bubblewrap import BubblewrapBackend
from tests.support.nursery import Child, Nursery
from tests.support.ports import free_port
from tests.support.server import ROOT

_START_S = 120.0
_STOP_S = 60.0


@dataclass
class Member:
    """One process, or the next one in its place."""

    name: str
    verb: str
    environment: Mapping[str, str]
    alive: Path
    process: "subprocess.Popen[bytes] | Child | None" = None
    starts: int = 0

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self.process is not None
        return self.process.pid

    @property
    def gone(self) -> bool:
        """Whether the process has ended."""
        return self.process is None or self.process.poll() is not None


class Crew:
    """The processes; what they say is in files beside the home."""

    def __init__(
        self,
        home: Path,
        environment: Mapping[str, str],
        *,
        server_works: bool,
        nursery: Nursery | None = None,
    ) -> None:
        """Make a crew of a server; `add` more.

        Args:
            home: of all of them.
            environment: what is special about it.
            server_works: whether the server works on tasks too.
            nursery: forks the processes; without, each is a `python -m app` of its own.
        """
        self.home = home
        self._nursery = nursery
        self.database_url = environment.get("STROP_DATABASE_URL", "")
        self.port = free_port()
        kept = {n: v for n, v in os.environ.items() if not n.endswith("_API_KEY")}
        own = {"STROP_HOME": str(home), "STROP_PORT": str(self.port), "STROP_LOG_LEVEL": "warning"}
        works = {"STROP_SERVER_WORKS": str(server_works).lower()}
        self._environment = {**kept, **own, **works, **environment}
        self._contained = False
        self.server_works = server_works
        self.members: list[Member] = []
        self.add("serve")

    @property
    def url(self) -> str:
        """The server's address, the same after each start."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def working(self) -> list[Member]:
        """The members that work on tasks."""
        return [one for one in self.members if one.verb == "work" or self.server_works]

    def add(self, verb: str) -> Member:
        """Let one more process belong to the crew."""
        name = f"{verb}-{len(self.members)}"
        alive = self.home.parent / f"{name}.alive"
        member = Member(name, verb, self._environment, alive)
        self.members.append(member)
        return member

    async def start(self, *members: Member) -> None:
        """Start processes and wait until they work."""
        for member in members:
            self._launch(member)
        async with asyncio.timeout(_START_S):
            for member in members:
                while not self._ready(member):
                    assert not member.gone, self.said(member)
                    await asyncio.sleep(0.05)

    def _launch(self, member: Member) -> None:
        member.alive.unlink(missing_ok=True)
        words = ["serve"] if member.verb == "serve" else ["work", "--alive-file", str(member.alive)]
        member.starts += 1
        if self._nursery is not None:
            member.process = self._nursery.start(words, member.environment, self._log(member))
            return
        with self._log(member).open("ab") as log:
            member.process = subprocess.Popen(
                [sys.executable, "-m", "app", *words],
                cwd=ROOT,
                env=member.environment,
                stdout=log,
                stderr=log,
            )

    def kill(self, *members: Member) -> None:
        """End processes as a power cut would."""
        for member in members:
            assert member.process is not None
            member.process.kill()
        for member in members:
            assert member.process is not None
            member.process.wait(_STOP_S)

    async def stop(self) -> dict[str, int]:
        """Ask all to stop; return with what status each did."""
        living = [one for one in self.members if not one.gone]
        for member in living:
            os.kill(member.pid, signal.SIGTERM)
        found: dict[str, int] = {}
        for member in living:
            assert member.process is not None
            found[member.name] = await asyncio.to_thread(member.process.wait, _STOP_S)
        return found

    def end(self) -> None:
        """Leave nothing running, whatever happened."""
        for member in self.members:
            if not member.gone:
                os.kill(member.pid, signal.SIGCONT)
                self.kill(member)

    def boot_id(self, member: Member) -> str:
        """Return under which name a process holds tasks; empty while it holds none."""
        if self.database_url:
            with self._asking() as connection:
                row = connection.execute(_BOOT_ID, (member.pid,)).fetchone()
            return str(row[0]) if row else ""
        for path in Path(f"/proc/{member.pid}/fd").iterdir():
            try:
                target = path.readlink()
            except FileNotFoundError:
                continue  # it was closed meanwhile
            if target.parent == self.home / "locks" and target.suffix == ".alive":
                return target.stem
        return ""

    def cut(self, member: Member) -> None:
        """Take a process's lock away, so that the others must think it dead."""
        boot_id = self.boot_id(member)
        if not self.database_url:
            (self.home / "locks" / f"{boot_id}.alive").unlink()
            return
        with self._asking() as connection:
            connection.execute(_END, (boot_id,))

    def _asking(self) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self.database_url.replace("+psycopg", ""), autocommit=True)

    def said(self, member: Member) -> str:
        """Return what a member's processes have written."""
        return self._log(member).read_text(errors="replace")

    @property
    def sleep(self) -> str:
        """For how many seconds the commands of this crew sleep; nobody else's do."""
        return f"300.{self.port}" if self._contained else ""

    async def look_around(self) -> None:
        """Find out whether what commands start can be held together on this machine."""
        if self._environment["STROP_SANDBOX"] == "bubblewrap":
            try:
                await BubblewrapBackend().probe()
            except SandboxError:
                self._environment["STROP_SANDBOX"] = "unsafe-local"
            else:
                self._contained = True

    def leftovers(self) -> list[str]:
        """Return which of the commands that sleep are there."""
        found: list[str] = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue  # it has ended, or is somebody else's
            if f"sleep 300.{self.port}" in command:
                found.append(command)
        return found

    def _log(self, member: Member) -> Path:
        return self.home.parent / f"{member.name}.log"

    def _ready(self, member: Member) -> bool:
        if member.verb == "work":
            return member.alive.exists()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


_BOOT_ID = "SELECT id FROM workers WHERE pid = %s ORDER BY started_at DESC LIMIT 1"
_END = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1
AND ((classid::bigint << 32) | objid::bigint) = hashtextextended('strop alive ' || %s, 0)
"""
