"""The part of the contract about files in and out, snapshots and secrets."""

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path

from sandboxes.base import SandboxError, WorkspacePathError
from sandboxes.check import Check, Trial, Verdict
from sandboxes.check_contract import judge
from sandboxes.exam.field import another

_TREE = """
mkdir -p a/b empty; printf one > a/b/f; printf two > run; chmod 755 run; ln -s a/b/f link
ln run again; touch -d 2001-02-03T04:05:06Z a/b/f
"""
_CHANGE = """
rm -rf a empty link; printf three > run; chmod 600 run; rm again; mkdir again; echo x > new
"""
_PRINT_SPLIT = """
import os, sys, time
secret = os.environ["API_KEY"].encode()
for stream in (1, 2):
    os.write(stream, b"<" + secret[:7])
    time.sleep(0.05)
    os.write(stream, secret[7:] + b">" + secret * 3)
open("kept", "wb").write(secret)
"""
_COMPARE = """
import hashlib, os, sys
print(hashlib.sha256(os.environ["API_KEY"].encode()).hexdigest() == sys.argv[1])
"""


async def _copies(trial: Trial) -> Verdict:
    data = os.urandom(3_000_001)
    source, target = trial.outside / "in", trial.outside / "out"
    source.write_bytes(data)
    sent = await trial.place.upload(source, "deep/er/file")
    changed = await trial.shell("printf more >> deep/er/file && mv deep/er/file here")
    got = await trial.place.download("here", target)
    same = _bytes_of(target) == data + b"more"
    holds = changed.ok and same and (sent, got) == (len(data), len(data) + 4)
    return judge(holds, f"{sent} bytes in, {got} out, the same: {same}, {changed.stderr!r}")


async def _too_big(trial: Trial) -> Verdict:
    target = trial.outside / "out"
    target.write_bytes(b"older")
    await trial.shell("head -c 100000 /dev/zero > big")
    try:
        await trial.place.download("big", target, max_bytes=99_999)
    except WorkspacePathError as error:
        left = sorted(path.name for path in _entries(trial.outside))
        holds = left == ["out"] and _bytes_of(target) == b"older"
        return judge(holds, f"{error}; files: {left}")
    return judge(holds=False, result="a file that is too big was copied")


async def _missing_source(trial: Trial) -> Verdict:
    try:
        await trial.place.upload(trial.outside / "nothing", "file")
    except FileNotFoundError:
        names = [info.path for info in await trial.place.list()]
        return judge(not names, f"the workspace holds {names}")
    return judge(holds=False, result="nothing was copied and nothing was said")


async def _snapshot(trial: Trial) -> Verdict:
    packed = trial.outside / "packed"
    await trial.shell(_TREE)
    before = _tree(trial.workspace)
    kept = await trial.place.snapshot(packed)
    await trial.shell(_CHANGE)
    restored = await trial.place.restore(packed)
    after = _tree(trial.workspace)
    runs = await trial.shell("printf more >> run && rm link && cat run a/b/f")
    holds = before == after and kept == restored == 7 and runs.stdout == b"twomoreone"
    return judge(holds, f"{kept} kept, {restored} restored, the same: {before == after}, {runs}")


async def _snapshot_elsewhere(trial: Trial) -> Verdict:
    packed = trial.outside / "packed"
    await trial.shell(_TREE)
    await trial.place.snapshot(packed)
    async with another(trial) as (place, workspace):
        await place.restore(packed)
        result = await place.exec(["sh", "-c", "cat a/b/f run && rm -r a run"])
        same = "again" in {path.name for path in _entries(workspace)}
    return judge(result.stdout == b"onetwo" and same, result)


async def _damaged(trial: Trial) -> Verdict:
    packed = trial.outside / "packed"
    await trial.shell(_TREE)
    await trial.place.snapshot(packed)
    packed.write_bytes(_bytes_of(packed)[:-30])
    await trial.shell(_CHANGE)
    before = _tree(trial.workspace)
    try:
        await trial.place.restore(packed)
    except WorkspacePathError as error:
        same = _tree(trial.workspace) == before
        return judge(same, f"{error}; the workspace is as before: {same}")
    return judge(holds=False, result="a damaged snapshot was restored")


async def _secret_arrives(trial: Trial) -> Verdict:
    digest = hashlib.sha256(trial.secret.encode()).hexdigest()
    async with another(trial, _reference(trial)) as (place, _):
        result = await place.exec(["python3", "-I", "-c", _COMPARE, digest])
    return judge(result.stdout.strip() == b"True", result)


async def _secret_blotted(trial: Trial) -> Verdict:
    """Print a secret in two halves, on both streams and into a file."""
    argv = ["python3", "-I", "-c", _PRINT_SPLIT]
    streamed = b""
    async with another(trial, _reference(trial)) as (place, _):
        result = await place.exec(argv)
        async with await place.start(argv) as process:
            async for chunk in process:
                streamed += chunk.data
        kept = await place.read("kept")
    shown = result.stdout + result.stderr + streamed + kept
    length = len(trial.secret) * 4 + 2
    leaked = trial.secret.encode() in shown
    whole = len(result.stdout) == len(result.stderr) == length and len(streamed) == 2 * length
    return judge(result.ok and whole and not leaked, f"leaked: {leaked}, {len(shown)} bytes came")


async def _secret_missing(trial: Trial) -> Verdict:
    name = f"file:{trial.outside / 'nothing'}"
    async with another(trial, {"API_KEY": name}) as (place, _):
        try:
            result = await place.exec(["true"])
        except SandboxError as error:
            return judge("API_KEY" in str(error), str(error))
    return judge(holds=False, result=f"the command ran without its secret: {result.outcome}")


def _reference(trial: Trial) -> dict[str, str]:
    path = trial.outside.parent / "api-key"
    path.write_text(f"{trial.secret}\n")
    return {"API_KEY": f"file:{path}"}


def _tree(root: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path in root.rglob("*"):
        status = path.lstat()
        kind, mode = stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode)
        content: object = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
        if path.is_symlink():
            content, mode = str(path.readlink()), 0
        found[str(path.relative_to(root))] = (kind, mode, int(status.st_mtime), content)
    return found


def _bytes_of(path: Path) -> bytes:
    with suppress(FileNotFoundError):
        return path.read_bytes()
    return b""


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir())


CHECKS = (
    Check("files are copied in and out", "contract", _copies),
    Check("a file that is too big is not copied", "contract", _too_big),
    Check("a missing source changes nothing", "contract", _missing_source, needs=()),
    Check("a snapshot brings the workspace back", "contract", _snapshot),
    Check("a snapshot can be restored elsewhere", "contract", _snapshot_elsewhere),
    Check("a damaged snapshot changes nothing", "contract", _damaged),
    Check("a secret reaches the command", "contract", _secret_arrives),
    Check("a secret is blotted out of what comes back", "contract", _secret_blotted),
    Check("a secret that is missing is said", "contract", _secret_missing),
)
