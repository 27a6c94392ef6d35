"""Attacks through files: what hostile code plants in a workspace for the host to fall over."""

import asyncio
import gzip
from contextlib import suppress
from pathlib import Path

from sandboxes.base import SandboxError, WorkspacePathError
from sandboxes.check import Check, Trial, Verdict
from sandboxes.check_contract import judge
from sandboxes.exam.field import another

_ODD_THINGS = """
import os, socket, sys
outside = sys.argv[1]
os.symlink(outside + "/secret.txt", "link")
os.symlink(outside, "folder")
os.symlink("/proc/self/root" + outside + "/secret.txt", "magic")
os.symlink("loop", "loop")
os.symlink("../outside/secret.txt", "relative")
os.mkfifo("pipe")
with socket.socket(socket.AF_UNIX) as s:
    s.bind("socket")
os.mkdir("closed", 0o000)
os.close(os.open("unreadable", os.O_CREAT, 0o000))
"""

_ODD_NAMES = """
import os
names = [b"new\\nline", b"\\xff\\xfe\\xfd", b"x" * 255, b"-rf", b"\\x1b[2J", b" ", b"...", b"~",
         b"$(id)", "\\u202egnp.exe".encode(), b"a\\tb", b"*", b"C:\\\\x", b"\\x01\\x7f"]
for name in names:
    with open(b"./" + name, "wb") as file:
        file.write(name)
print(len(names))
"""

_ODD_TIMES = """
import os
for number, when in enumerate((-(1 << 31), -1, 0, 1 << 33, (1 << 34) - 1)):
    open(f"f{number}", "w").close()
    try:
        os.utime(f"f{number}", (when, when))
    except OSError:
        pass
"""

_HARD_LINK = """
import os, sys
for target in (sys.argv[1], "../outside/secret.txt", "/etc/passwd", "/usr/bin/env"):
    for follow in (True, False):
        try:
            os.link(target, f"hard{abs(hash((target, follow)))}", follow_symlinks=follow)
            print("linked", target)
        except OSError as error:
            print(error)
"""

_REPLACE_ITSELF = """
import os, sys
here, outside = os.getcwd(), sys.argv[1]
for act in (
    lambda: os.rmdir(here),
    lambda: os.unlink(here),
    lambda: os.rename(here, here + ".moved"),
    lambda: os.symlink(outside, here),
):
    try:
        act()
        print("did")
    except OSError as error:
        print(error)
"""

_SWAP_FOR_WRITERS = """
import os, shutil, sys, time
os.mkdir("real")
os.symlink(sys.argv[1], "bad")
end = time.monotonic() + 0.6
while time.monotonic() < end:
    for source in ("real", "bad"):
        try:
            os.rename(source, "swap")
            os.rename("swap", source)
        except OSError:
            shutil.rmtree("swap", ignore_errors=True)
"""


async def _links_and_copies(trial: Trial) -> Verdict:
    """Plant links and other things that are no files, then use every way in and out."""
    secret, copy = trial.outside / "secret.txt", trial.outside / "copy"
    _plant(secret, trial.secret)
    await trial.python(_ODD_THINGS, str(trial.outside))
    leaks: list[str] = []
    for path in ("link", "folder/secret.txt", "magic", "loop", "relative", "pipe", "socket", "."):
        async with asyncio.timeout(5):
            with suppress(WorkspacePathError):
                await trial.place.download(path, copy)
                leaks.append(f"downloaded {path}")
            with suppress(WorkspacePathError):
                await trial.place.upload(secret, path)
                leaks.append(f"wrote {path}")
    with suppress(SandboxError):
        await trial.place.snapshot(trial.outside / "packed")
        packed = gzip.decompress(_bytes_of(trial.outside / "packed"))
        leaks += ["the snapshot holds the secret"] if trial.secret.encode() in packed else []
    intact = _bytes_of(secret) == trial.secret.encode()
    return judge(not leaks and intact, f"leaks: {leaks}, intact: {intact}")


async def _raced_copies(trial: Trial) -> Verdict:
    """Swap a folder for a link out while files are copied, packed and written."""
    _plant(trial.outside / "file", trial.secret)
    (trial.outside.parent / "source").write_bytes(b"overwritten")
    attack = asyncio.create_task(trial.python(_SWAP_FOR_WRITERS, str(trial.outside)))
    tries, leaks = 0, 0
    packed = trial.outside.parent / "packed"
    while not attack.done():
        tries += 1
        with suppress(SandboxError):
            await trial.place.upload(trial.outside.parent / "source", "swap/file")
        with suppress(SandboxError):
            await trial.place.download("swap/file", packed)
            leaks += trial.secret.encode() in _bytes_of(packed)
        with suppress(SandboxError):
            await trial.place.snapshot(packed)
            leaks += trial.secret.encode() in gzip.decompress(_bytes_of(packed))
    intact = _bytes_of(trial.outside / "file") == trial.secret.encode()
    return judge(leaks == 0 and intact, f"{leaks} leaks in {tries} rounds, intact: {intact}")


async def _odd_names(trial: Trial) -> Verdict:
    result = await trial.python(_ODD_NAMES)
    listed = await trial.place.list()
    read = [info.path for info in listed if await _can_read(trial, info.path)]
    packed = await trial.place.snapshot(trial.outside / "packed")
    await trial.place.restore(trial.outside / "packed")
    again = await trial.place.list()
    made = int(result.stdout or b"0")
    holds = made == len(listed) == packed == len(again) and len(read) >= made - 1
    return judge(holds, f"{made} made, {len(listed)} listed, {len(read)} read, {packed} packed")


async def _can_read(trial: Trial, path: str) -> bool:
    try:
        return await trial.place.read(path) == path.encode()
    except WorkspacePathError:
        return False


async def _odd_times(trial: Trial) -> Verdict:
    await trial.python(_ODD_TIMES)
    listed = await trial.place.list()
    packed = await trial.place.snapshot(trial.outside / "packed")
    restored = await trial.place.restore(trial.outside / "packed")
    times = [info.mtime for info in await trial.place.list()]
    same = times == [info.mtime for info in listed]
    holds = len(listed) == packed == restored == 5 and same
    return judge(holds, f"{len(listed)} listed, {packed} packed, times {times}")


async def _hard_links(trial: Trial) -> Verdict:
    """Link a file of the host into the workspace: no path check could tell it from another."""
    secret = trial.outside / "secret.txt"
    _plant(secret, trial.secret)
    secret.chmod(0o666)
    await trial.python(_HARD_LINK, str(secret))
    leaks = [
        info.path
        for info in await trial.place.list()
        if info.path.startswith("hard") and info.kind == "file"
    ]
    return judge(not leaks, f"files of the host in the workspace: {len(leaks)}")


async def _replaced_workspace(trial: Trial) -> Verdict:
    """Put a link in place of the workspace itself, then write from inside and outside."""
    await trial.python(_REPLACE_ITSELF, str(trial.outside))
    with suppress(SandboxError, OSError):
        await trial.shell("echo x > from-inside")
    with suppress(SandboxError, OSError):
        await trial.place.write("from-outside", b"x")
    found = sorted(path.name for path in _entries(trial.outside))
    linked = trial.workspace.is_symlink()
    return judge(not found and not linked, f"written elsewhere: {found}, replaced: {linked}")


async def _poisoned_snapshot(trial: Trial) -> Verdict:
    """Restore what another sandbox packed with links in it, and look where it went."""
    _plant(trial.outside / "secret.txt", trial.secret)
    packed = trial.outside.parent / "packed"
    async with another(trial) as (place, _):
        script = (
            "import os, sys\n"
            "os.symlink(sys.argv[1], 'way')\n"
            "os.mkdir('way2'); open('way2/written', 'w').close()\n"
        )
        await place.exec(["python3", "-I", "-c", script, str(trial.outside)])
        await place.snapshot(packed)
    await trial.place.restore(packed)
    with suppress(SandboxError):
        await trial.place.write("way/written", b"x")
    found = sorted(path.name for path in _entries(trial.outside))
    return judge(found == ["secret.txt"], f"outside: {found}")


async def _big_listing(trial: Trial) -> Verdict:
    script = "for n in range(1500): open(f'{n}', 'w').close()"
    await trial.python(script)
    async with asyncio.timeout(5):
        listed = await trial.place.list(max_entries=50)
    return judge(len(listed) == 50, f"{len(listed)} entries listed")


async def _links_in_old_api(trial: Trial) -> Verdict:
    """Replace a file by a link between two uses of it."""
    _plant(trial.outside / "secret.txt", trial.secret)
    await trial.place.write("plain", b"first")
    script = "import os, sys; os.unlink('plain'); os.symlink(sys.argv[1] + '/secret.txt', 'plain')"
    await trial.python(script, str(trial.outside))
    with suppress(WorkspacePathError):
        await trial.place.write("plain", b"second")
    intact = _bytes_of(trial.outside / "secret.txt") == trial.secret.encode()
    return judge(intact, f"a file outside is intact: {intact}")


def _plant(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)


def _bytes_of(path: Path) -> bytes:
    return path.read_bytes()


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir())


CHECKS = (
    Check("no link or pipe fools a copy", "containment", _links_and_copies),
    Check("copies and snapshots cannot be raced", "containment", _raced_copies),
    Check("hostile file names do no harm", "containment", _odd_names),
    Check("hostile times do no harm", "containment", _odd_times),
    Check("no file of the host is linked in", "containment", _hard_links, "anyone"),
    Check("a workspace cannot replace itself", "containment", _replaced_workspace, "anyone"),
    Check("a snapshot carries no way out", "containment", _poisoned_snapshot),
    Check("a crowded folder is listed within bounds", "containment", _big_listing),
    Check("a file that became a link is not written through", "containment", _links_in_old_api),
)
