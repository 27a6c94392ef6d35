"""Two peers, installed into a throw-away folder from their registries and driven from here.

Anthropic's sandbox-runtime (npm: `@anthropic-ai/sandbox-runtime`), as a command and as the
library kept in a node process; smolagents' LocalPythonExecutor (PyPI), which says itself that
it is no security boundary. Each drives itself in its own process and tells the time that it
took there, so the way to it costs them nothing.
"""

import asyncio
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.process_costs import below, pss_mb
from benchmarks.sandbox_cases import PYTHON, Case, Grounds, Work, expect

SRT = "@anthropic-ai/sandbox-runtime"
_SRT_NEEDS = {
    "node": "nodejs",
    "npm": "npm",
    "bwrap": "bubblewrap",
    "socat": "socat",
    "rg": "ripgrep",
}
_INSTALL_S = 300
_READY_S = 60.0
_SETTINGS: dict[str, dict[str, list[str]]] = {
    "network": {"allowedDomains": [], "deniedDomains": []},
    "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
}
_SRT_DRIVER = """
import { SandboxManager } from '@anthropic-ai/sandbox-runtime';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';
await SandboxManager.initialize(JSON.parse(readFileSync('settings.json')));
console.log(JSON.stringify({ id: 'ready' }));
const running = new Set();
for await (const line of createInterface({ input: process.stdin })) {
  const { id, command } = JSON.parse(line);
  const began = performance.now();
  const one = SandboxManager.wrapWithSandbox(command).then(wrapped => new Promise(resolve => {
    const child = spawn(wrapped, { shell: true, stdio: ['ignore', 'pipe', 'pipe'], cwd: 'ws' });
    let out = '', err = '';
    child.stdout.on('data', data => out += data);
    child.stderr.on('data', data => err += data);
    child.on('close', () => {
      SandboxManager.cleanupAfterCommand?.();
      console.log(JSON.stringify({ id, out: out || err, ms: performance.now() - began }));
      resolve();
    });
  }));
  running.add(one); one.finally(() => running.delete(one));
}
await Promise.all(running);
await SandboxManager.reset();
"""
_SMOL_DRIVER = """
import json, sys, time
from smolagents.local_python_executor import LocalPythonExecutor
print(json.dumps({"id": "ready"}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    began = time.perf_counter()
    executor = LocalPythonExecutor(additional_authorized_imports=[])
    executor.send_tools({})
    out = executor(asked["command"]).logs
    spent = 1000 * (time.perf_counter() - began)
    print(json.dumps({"id": asked["id"], "out": out, "ms": spent}), flush=True)
"""


class Driven:
    """A process that runs what it is sent and answers in its own time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._waiting: dict[str, asyncio.Future[dict[str, object]]] = {}
        self._numbers = itertools.count()
        self._reading = asyncio.create_task(self._read())

    async def run(self, command: str) -> float:
        """Run `print(1)` and return the milliseconds that it says it took."""
        answer = await self.ask(str(next(self._numbers)), command)
        expect(str(answer["out"]))
        return float(str(answer["ms"]))

    async def ask(self, name: str, command: str | None = None) -> dict[str, object]:
        """Send a command and wait for its answer, or only wait for one."""
        future: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()
        self._waiting[name] = future
        if command is not None and self.process.stdin is not None:
            line = json.dumps({"id": name, "command": command})
            self.process.stdin.write(line.encode() + b"\n")
        async with asyncio.timeout(_READY_S):
            return await future

    def memory_mb(self) -> float:
        """Return what it holds while it waits."""
        return pss_mb([self.process.pid, *below(self.process.pid)])

    async def close(self) -> None:
        """Let it end."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            answer = json.loads(line)
            future = self._waiting.pop(str(answer["id"]), None)
            if future is not None and not future.done():
                future.set_result(answer)


async def peers(ground: Grounds) -> tuple[list[Case], dict[str, Driven]]:
    """Install the peers; return their cases, and their processes for a look at their memory."""
    cases: list[Case] = []
    driven: dict[str, Driven] = {}
    for name, prepare in (("sandbox-runtime", _srt), ("smolagents", _smolagents)):
        try:
            made, process = await prepare(ground)
        except (RuntimeError, OSError, subprocess.SubprocessError, TimeoutError) as error:
            ground.notes.append(f"{name} did not run: {error}")
            continue
        cases += made
        driven[name] = process
    return cases, driven


async def _srt(ground: Grounds) -> tuple[list[Case], Driven]:
    _demand(_SRT_NEEDS)
    folder = ground.folder / "srt"
    (folder / "ws").mkdir(parents=True)
    _install(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), SRT])
    about = json.loads((folder / "node_modules" / SRT / "package.json").read_text())
    (folder / "settings.json").write_text(json.dumps(_SETTINGS))
    (folder / "drive.mjs").write_text(_SRT_DRIVER)
    process = await _driven(["node", "drive.mjs"], folder)
    ground.stack.push_async_callback(process.close)
    command = f"{PYTHON} -I -c 'print(1)'"
    line = ["node", "node_modules/.bin/srt", "-s", "settings.json", "-c", command]
    version = f"sandbox-runtime {about['version']}"
    return [
        Case(f"{version}, command line, cold", _program(line, folder), 40),
        Case(f"{version}, library kept in node", lambda: process.run(command), 200),
    ], process


async def _smolagents(ground: Grounds) -> tuple[list[Case], Driven]:
    uv = shutil.which("uv") or str(Path(__file__).parents[1] / ".tools" / "bin" / "uv")
    folder = ground.folder / "smolagents"
    _install([uv, "venv", "-q", "--python", sys.executable, str(folder)])
    python = str(folder / "bin" / "python")
    _install([uv, "pip", "install", "-q", "--python", python, "smolagents"])
    (about,) = folder.glob("lib/*/site-packages/smolagents-*.dist-info")
    version = about.name.removeprefix("smolagents-").removesuffix(".dist-info")
    process = await _driven([python, "-c", _SMOL_DRIVER], folder)
    ground.stack.push_async_callback(process.close)
    name = f"smolagents {version} LocalPythonExecutor, in its own process"
    return [Case(name, lambda: process.run("print(1)"), repeat=10)], process


def _demand(programs: dict[str, str]) -> None:
    """Have programs installed where this is Debian and we are root; say so."""
    missing = [package for name, package in programs.items() if shutil.which(name) is None]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing {' '.join(missing)} with apt-get", file=sys.stderr)
        _install(["apt-get", "install", "-y", "-q", *missing])
        missing = []
    if missing:
        msg = f"type: apt-get install {' '.join(missing)}"
        raise RuntimeError(msg)


def _install(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    if done.returncode:
        msg = f"{' '.join(argv[:3])} failed: {(done.stderr or done.stdout).strip()[-300:]}"
        raise RuntimeError(msg)


async def _driven(argv: Sequence[str], folder: Path) -> Driven:
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    driven = Driven(process)
    await driven.ask("ready")
    return driven


def _program(argv: Sequence[str], folder: Path) -> Work:
    async def work() -> None:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        expect(out or err)

    return work
