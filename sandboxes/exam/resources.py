"""Attacks on what a machine has to give: memory, disk, names, descriptors, patience."""

import asyncio

from sandboxes.base import ExecResult, Outcome, SandboxError
from sandboxes.check import EXAM_LIMITS, Check, Trial, Verdict
from sandboxes.check_contract import judge
from sandboxes.exam.field import TIGHT

_MEGABYTES = 192
_MOST_MEGABYTES = 160
"""Scratch space may hold this much in all beside the workspace."""

_TREE_MEMORY = ("shell", "tree_memory")
"""What only control groups count: memory that is nobody's own, and shares of processors."""

_FILL_SCRATCH = """
import os
written, block = 0, bytes(1 << 20)
for folder in ("/tmp", "/dev/shm", "/run", "/var/tmp"):
    try:
        with open(f"{folder}/strop-exam-fill", "wb", buffering=0) as file:
            for _ in range(96):
                file.write(block)
                written += 1
                os.write(1, b"x")
    except OSError:
        continue
"""

_PIPES = """
import fcntl, os, socket
held = []
def fill(number):
    os.set_blocking(number, False)
    try:
        while True:
            os.write(1, b"x" * (os.write(number, bytes(1 << 16)) >> 16))
    except OSError:
        pass
try:
    for _ in range(400):
        pair = os.pipe()
        held.append(pair)
        try:
            fcntl.fcntl(pair[1], 1031, 1 << 20)
        except OSError:
            pass
        fill(pair[1])
except OSError:
    pass
try:
    for _ in range(60):
        pair = socket.socketpair()
        held.append(pair)
        pair[0].setsockopt(1, 7, 1 << 22)
        fill(pair[0].fileno())
except OSError:
    pass
"""

_SHARED_MAP = """
import mmap, sys
held = mmap.mmap(-1, int(sys.argv[1]) << 20)
for at in range(0, len(held), 4096):
    held[at] = 1
print("ate it all")
"""

_UNNAMED_FILE = """
import os, sys
for number in range(int(sys.argv[1]) // 24):
    file = os.memfd_create(f"fill{number}")
    for _ in range(24):
        os.write(file, bytes(1 << 20))
print("ate it all")
"""

_MANY_FILES = """
import os, time
end, made = time.monotonic() + 4, 0
while time.monotonic() < end and made < 60_000:
    if made % 5000 == 0:
        os.mkdir(f"d{made}")
    os.close(os.open(f"d{made - made % 5000}/{made}", os.O_CREAT | os.O_WRONLY))
    made += 1
print("made", made)
time.sleep(1)
"""

_SPARSE = """
import os
number = os.open("sparse", os.O_CREAT | os.O_WRONLY)
for act in (lambda: os.ftruncate(number, 1 << 40), lambda: os.pwrite(number, b"x", 1 << 40),
            lambda: os.posix_fallocate(number, 0, 1 << 36)):
    try:
        act()
    except OSError as error:
        print(error)
"""

_FLOOD = """
import os
for _ in range(512):
    os.write(1, bytes(1 << 16))
    os.write(2, bytes(1 << 16))
"""

_DESCRIPTORS = """
import os
held = []
try:
    for _ in range(100_000):
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
print(len(held))
"""

_SPIN = """
import os, time
end = time.monotonic() + 0.5
for _ in range(3):
    os.fork()
while time.monotonic() < end:
    pass
os.write(1, b"%f\\n" % time.process_time())
while True:
    try:
        os.wait()
    except OSError:
        break
"""

_DEEP = """
import os
for _ in range(1200):
    os.mkdir("d")
    os.chdir("d")
open("bottom", "w").close()
"""


async def _scratch(trial: Trial) -> Verdict:
    result = await trial.python(_FILL_SCRATCH, limits=EXAM_LIMITS)
    written = result.stdout_total
    return judge(written <= _MOST_MEGABYTES, f"{written} MiB taken beside the workspace")


async def _kernel_buffers(trial: Trial) -> Verdict:
    result = await trial.python(_PIPES, limits=TIGHT)
    taken = result.stdout_total >> 4
    most = 2 * TIGHT.memory_bytes >> 20
    return judge(taken <= most, f"{result.outcome}, {taken} MiB in pipes and sockets")


def _not_all(result: ExecResult) -> Verdict:
    return judge(b"ate it all" not in result.stdout, result)


async def _shared_map(trial: Trial) -> Verdict:
    return _not_all(await trial.python(_SHARED_MAP, str(_MEGABYTES), limits=TIGHT))


async def _unnamed_file(trial: Trial) -> Verdict:
    return _not_all(await trial.python(_UNNAMED_FILE, str(_MEGABYTES), limits=TIGHT))


async def _many_files(trial: Trial) -> Verdict:
    limits = TIGHT.model_copy(update={"disk_bytes": 2 << 20})
    result = await trial.python(_MANY_FILES, limits=limits)
    return judge(result.outcome is Outcome.DISK_LIMIT, result)


async def _sparse(trial: Trial) -> Verdict:
    await trial.python(_SPARSE, limits=TIGHT)
    sizes = [info.size for info in await trial.place.list() if info.kind == "file"]
    most = max(sizes, default=0)
    return judge(most <= TIGHT.file_bytes, f"the biggest file pretends to hold {most} bytes")


async def _flood(trial: Trial) -> Verdict:
    limits = EXAM_LIMITS.model_copy(update={"output_kill_bytes": 4 << 20})
    result = await trial.python(_FLOOD, limits=limits)
    kept = len(result.stdout) + len(result.stderr)
    most = limits.stdout_bytes + limits.stderr_bytes
    holds = result.outcome is Outcome.OUTPUT_LIMIT and kept <= most
    return judge(holds, f"{result.outcome}, {kept} bytes kept")


async def _descriptors(trial: Trial) -> Verdict:
    result = await trial.python(_DESCRIPTORS)
    made = int(result.stdout or b"0")
    return judge(made < 70_000, f"{made} descriptors held")


async def _deep(trial: Trial) -> Verdict:
    """Nest folders deeper than any path may be long, then use the files from outside."""
    result = await trial.python(_DEEP)
    async with asyncio.timeout(10):
        listed = await trial.place.list()
        told = "packed"
        try:
            await trial.place.snapshot(trial.outside / "snapshot")
        except SandboxError as error:
            told = f"refused: {error}"
    after = await trial.shell("echo alive")
    holds = len(listed) <= 1201 and (after.ok or after.outcome is Outcome.DISK_LIMIT)
    return judge(holds, f"{result.outcome}, {len(listed)} listed, snapshot {told[:60]}")


async def _processor(trial: Trial) -> Verdict:
    """Spin with as many processes as there are, and add up what they got."""
    limits = EXAM_LIMITS.model_copy(update={"cpu_cores": 0.3})
    result = await trial.python(_SPIN, limits=limits)
    got = sum(map(float, result.stdout.split() or [b"9"]))
    most = 0.3 * result.duration_s + 0.3
    return judge(got <= most, f"{got:.2f} s of processor time in {result.duration_s:.2f} s")


async def _side_by_side(trial: Trial) -> Verdict:
    """Starve one command, and look whether another suffers."""
    spin = "import os\nfor _ in range(3): os.fork()\nwhile True: pass"
    hog = asyncio.create_task(trial.python(spin, limits=TIGHT.model_copy(update={"wall_s": 0.8})))
    other = await trial.shell("echo alive")
    await hog
    return judge(other.stdout == b"alive\n" and other.duration_s < 5, other)


CHECKS = (
    Check("scratch space is bounded", "containment", _scratch),
    Check("buffers in the kernel are bounded", "containment", _kernel_buffers, needs=_TREE_MEMORY),
    Check("shared memory counts as memory", "containment", _shared_map, needs=_TREE_MEMORY),
    Check("unnamed files count as memory", "containment", _unnamed_file, needs=_TREE_MEMORY),
    Check("processor time is shared out", "containment", _processor, needs=_TREE_MEMORY),
    Check("a flood of empty files is stopped", "containment", _many_files),
    Check("a file with holes cannot pretend to be huge", "containment", _sparse, "anyone"),
    Check("a flood on both streams is stopped", "containment", _flood),
    Check("descriptors are bounded", "containment", _descriptors),
    Check("bottomless folders harm nobody", "containment", _deep),
    Check("a busy command does not starve another", "containment", _side_by_side),
)
