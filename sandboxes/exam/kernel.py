"""Attacks on the kernel and the machine: system calls, devices, settings, privileges."""

import ctypes
import os
import platform
import shutil
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sandboxes.check import Check, Trial, Verdict
from sandboxes.check_contract import judge
from sandboxes.exam.field import CALLS, TIGHT, refused

# The numbers are those of x86-64 and of aarch64; every call is made with arguments that do
# no harm where it is allowed.
_LOAD_CODE = """
call("init_module", 175, 105, 0, 0, 0)
call("finit_module", 313, 273, -1, b"", 0)
call("delete_module", 176, 106, b"strop_no_such", 0)
call("kexec_load", 246, 104, 0, 0, 0, 1 << 30)
call("kexec_file_load", 320, 294, -1, -1, 0, b"", 0)
call("bpf", 321, 280, 0, 0, 0)
tell()
"""

_STEER_MACHINE = """
import time
call("reboot", 169, 142, 1, 2, 3, 0)
call("swapon", 167, 224, b"/strop-no-such", 0)
call("swapoff", 168, 225, b"/strop-no-such")
call("acct", 163, 89, b"/strop-no-such")
call("quotactl", 179, 60, 0x80000100, 0, 0, 0)
call("read the kernel's log", 103, 116, 10, 0, 0)
call("vhangup", 153, 58) if os.getuid() else None
call("iopl", 172, -1, 4)
call("ioperm", 173, -1, 0x80, 1, 1)
if os.getuid():
    now = (ctypes.c_long * 2)(int(time.time()), 0)
    call("settimeofday", 164, 170, now, 0)
    call("clock_settime", 227, 112, 0, now)
tell()
"""

_NAME = """
name = sys.argv[1].encode()
call("sethostname", 170, 161, name, len(name))
call("setdomainname", 171, 162, b"(none)", 6)
tell()
"""

_MOUNTS = """
call("mount", 165, 40, b"none", b"/strop-no-such", b"tmpfs", 0, 0)
call("umount2", 166, 39, b"/strop-no-such", 0)
call("pivot_root", 155, 41, b"/strop-no-such", b"/strop-no-such")
call("chroot", 161, 51, b".")
call("open_tree", 428, 428, -100, b"/strop-no-such", 1)
call("move_mount", 429, 429, -1, b"", -1, b"", 0)
call("fsopen", 430, 430, b"tmpfs", 0)
call("fspick", 433, 433, -100, b"/strop-no-such", 0)
call("mount_setattr", 442, 442, -100, b"/strop-no-such", 0, 0, 0)
tell()
"""

_JOIN_NAMESPACES = """
for pid in ("1", str(os.getppid()), "self"):
    for name in ("net", "ipc", "uts", "pid"):
        try:
            number = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY)
        except OSError:
            continue
        call(f"setns to {name} of {pid}", 308, 268, number, 0)
        os.close(number)
tell()
"""

_CLONE_NAMESPACES = """
for name, flag in (("user", 0x10000000), ("user and mount", 0x10020000), ("net", 0x40000000)):
    pid = libc.syscall(220 if arm else 56, flag | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    if pid > 0:
        os.waitpid(pid, 0)
        allowed.append(f"clone with a new {name} namespace")
arguments = (ctypes.c_ulonglong * 11)(0x10000000, 0, 0, 0, 17)
pid = libc.syscall(435, arguments, 88)
if pid == 0:
    os._exit(0)
if pid > 0:
    os.waitpid(pid, 0)
    allowed.append("clone3 with a new user namespace")
tell()
"""

_HANDLES = """
handle = ctypes.create_string_buffer(b"\\x80\\0\\0\\0" + b"\\0" * 140, 144)
mount = ctypes.c_int()
call("name_to_handle_at", 303, 264, -100, b"/", handle, ctypes.byref(mount), 0)
call("open_by_handle_at", 304, 265, -1, handle, 0)
call("fanotify_init", 300, 262, 0, 0)
tell()
"""

_KEYS = """
call("add_key", 248, 217, b"user", b"strop-exam", b"x", 1, -4)
call("request_key", 249, 218, b"user", b"strop-no-such", 0, 0)
call("read the session keyring", 250, 219, 11, -3, 0, 0)
tell()
"""

_OTHER_MEMORY = """
target = os.getppid()
word = ctypes.create_string_buffer(8)
remote = (ctypes.c_size_t * 2)(0x1000, 8)
local = (ctypes.c_size_t * 2)(ctypes.addressof(word), 8)
call("process_vm_readv", 310, 270, target, local, 1, remote, 1, 0)
call("process_vm_writev", 311, 271, target, local, 1, remote, 1, 0)
call("kcmp", 312, 272, os.getpid(), target, 0, 0, 0)
call("ptrace", 101, 117, 16, 999_999_999, 0, 0)
number = libc.syscall(434, os.getpid(), 0)
if number >= 0:
    call("pidfd_getfd", 438, 438, number, 0, 0)
tell()
"""

_ODD_DOORS = """
call("io_uring_setup", 425, 425, 1, ctypes.create_string_buffer(256))
call("userfaultfd", 323, 282, 0)
call("perf_event_open", 298, 241, ctypes.create_string_buffer(128), 0, -1, -1, 0)
tell()
"""

# In machine code: what the filter sees as another architecture, asking for a user namespace.
_OTHER_ABI = """
import mmap
if arm:
    tell()
    sys.exit()
page = mmap.mmap(-1, 4096, prot=7)
code = {
    "int80": b"\\x53\\xb8\\x36\\x01\\0\\0\\xbb\\0\\0\\0\\x10\\xcd\\x80\\x5b\\xc3",
    "x32": b"\\xb8\\x10\\x01\\0\\x40\\xbf\\0\\0\\0\\x10\\x0f\\x05\\xc3",
}[sys.argv[1]]
page.write(code)
start = ctypes.addressof(ctypes.c_char.from_buffer(page))
answer = ctypes.CFUNCTYPE(ctypes.c_int)(start)()
if answer == 0:
    allowed.append(sys.argv[1])
tell()
"""

_DEVICES = """
import stat
for path in ("/dev/mem", "/dev/kmsg", "/dev/port", "/dev/kvm", "/dev/vsock", "/dev/fuse",
             "/dev/net/tun", "/dev/vhost-net", "/proc/kcore", "/proc/kmsg", "/proc/kallsyms"):
    def look():
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        data = os.read(number, 64)
        os.close(number)
        if path.endswith("kallsyms") and set(data.split(b" ")[0]) <= set(b"0"):
            raise OSError("no addresses")
    attempt(path, look)
for folder, _, names in os.walk("/dev"):
    for name in names:
        path = os.path.join(folder, name)
        try:
            if stat.S_ISBLK(os.stat(path).st_mode):
                attempt(path, lambda: os.close(os.open(path, os.O_RDONLY)))
        except OSError:
            pass
tell()
"""

_MAKE_DEVICES = """
import stat
for folder in (".", "/tmp", "/dev/shm"):
    for name, kind, major, minor in (("char", stat.S_IFCHR, 1, 3), ("block", stat.S_IFBLK, 7, 0)):
        path = f"{folder}/strop-exam-{name}"
        attempt(path, lambda: os.mknod(path, kind | 0o666, os.makedev(major, minor)))
        if folder != ".":
            try:
                os.unlink(path)
            except OSError:
                pass
tell()
"""

_WRITE_SETTINGS = """
import time
end = time.monotonic() + 1.0
for root in ("/proc/sys", "/sys/fs/cgroup", "/sys/kernel", "/sys/module", "/sys/class"):
    for folder, folders, names in os.walk(root):
        if time.monotonic() > end or len(allowed) > 5:
            break
        for name in names[:50]:
            path = os.path.join(folder, name)
            attempt(path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)))
        if "cgroup" in root:
            path = os.path.join(folder, "strop-exam")
            attempt(path, lambda: (os.mkdir(path), os.rmdir(path)))
for path in ("/proc/sysrq-trigger", "/proc/irq/default_smp_affinity"):
    attempt(path, lambda: os.close(os.open(path, os.O_WRONLY)))
tell()
"""

_PRIORITY = """
attempt("a better priority", lambda: os.setpriority(os.PRIO_PROCESS, 0, -5))
attempt("real time", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
def spare():
    number = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    os.write(number, b"-1000")
attempt("no death by lack of memory", spare)
import resource
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
if hard != resource.RLIM_INFINITY:
    attempt("a higher limit", lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard + 1)))
else:
    allowed.append("no limit on files")
tell()
"""

_PRIVILEGES = """
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
    if int(status[name], 16):
        allowed.append(f"{name} {status[name].strip()}")
if status["NoNewPrivs"].strip() != "1":
    allowed.append("new privileges")
if status["Seccomp"].strip() != "2":
    allowed.append("no filter of system calls")
if 0 in map(int, status["Uid"].split()):
    allowed.append("uid 0")
for name, act in (("setgid", os.setgid), ("setuid", os.setuid)):
    attempt(name, lambda: act(0))
attempt("setgroups", lambda: os.setgroups([0]))
tell()
"""

_FILE_POWERS = """
value = (0x02000001).to_bytes(4, "little") + (1 << 21).to_bytes(4, "little") + bytes(12)
open("power", "w").close()
attempt("a file with capabilities", lambda: os.setxattr("power", "security.capability", value))
attempt("a trusted attribute", lambda: os.setxattr("power", "trusted.strop", b"x"))
attempt("a file of root", lambda: os.chown("power", 0, 0))
tell()
"""

_TERMINAL = """
import fcntl
for path in ("/dev/tty", "/dev/console", "/dev/tty0", "/dev/tty1"):
    attempt(path, lambda: os.close(os.open(path, os.O_RDWR | os.O_NOCTTY)))
for number in (0, 1, 2):
    attempt(f"TIOCSTI on {number}", lambda: fcntl.ioctl(number, 0x5412, b"x"))
    attempt(f"TIOCLINUX on {number}", lambda: fcntl.ioctl(number, 0x541C, b"\\x02"))
    attempt(f"TIOCSCTTY on {number}", lambda: fcntl.ioctl(number, 0x540E, 1))
tell()
"""

_SHARED_MEMORY = """
key, path = int(sys.argv[1]), sys.argv[2]
libc.shmat.restype = ctypes.c_void_p
number = libc.shmget(key, 4096, 0)
if number >= 0:
    where = libc.shmat(number, None, 0o10000)
    allowed.append(f"shared memory of the host: {ctypes.string_at(where, 32)}")
attempt("a file in /dev/shm", lambda: open(path).read())
libc.shmget(key + 1, 4096, 0o1666)
libc.semget(key + 1, 1, 0o1666)
libc.msgget(key + 1, 0o1666)
tell()
"""

_CRASH = """
import ctypes, resource
try:
    resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))
except (OSError, ValueError):
    pass
ctypes.string_at(0)
"""

_OVERWRITE_PROGRAMS = """
for pid in ("1", "self", str(os.getppid())):
    for name in ("exe", "root/usr/bin/env"):
        path = f"/proc/{pid}/{name}"
        attempt(path, lambda: os.close(os.open(path, os.O_WRONLY)))
for path in ("/usr/bin/env", "/bin/sh", sys.executable, os.path.realpath(sys.executable)):
    attempt(path, lambda: os.close(os.open(path, os.O_WRONLY)))
tell()
"""


async def _load_code(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _LOAD_CODE))


async def _steer_machine(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _STEER_MACHINE))


async def _host_name(trial: Trial) -> Verdict:
    before = platform.node()
    result = await trial.python(CALLS + _NAME, before)
    return judge(result.stdout.strip() == b"refused" and platform.node() == before, result)


async def _mounts(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _MOUNTS))


async def _join_namespaces(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _JOIN_NAMESPACES))


async def _clone_namespaces(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _CLONE_NAMESPACES))


async def _handles(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _HANDLES))


async def _keys(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _KEYS))


async def _other_memory(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _OTHER_MEMORY))


async def _odd_doors(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _ODD_DOORS))


async def _other_abi(trial: Trial) -> Verdict:
    told = [(await trial.python(CALLS + _OTHER_ABI, name)).stdout for name in ("int80", "x32")]
    return judge(not any(b"allowed" in out for out in told), f"{told}")


async def _devices(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _DEVICES))


async def _make_devices(trial: Trial) -> Verdict:
    result = await trial.python(CALLS + _MAKE_DEVICES)
    left = [
        path.name
        for path in trial.workspace.iterdir()
        if stat.S_ISBLK(path.lstat().st_mode) or stat.S_ISCHR(path.lstat().st_mode)
    ]
    return judge(result.stdout.strip() == b"refused" and not left, result)


async def _write_settings(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _WRITE_SETTINGS))


async def _priority(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _PRIORITY, limits=TIGHT))


async def _privileges(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _PRIVILEGES))


async def _setuid_program(trial: Trial) -> Verdict:
    """Let the host leave a program of root's in the workspace, and run it inside."""
    if os.geteuid() != 0:
        return Verdict(held=None, detail="only root can plant a program of root's")
    shutil.copyfile("/usr/bin/id", trial.workspace / "id")
    (trial.workspace / "id").chmod(0o4755)
    result = await trial.shell("./id -u")
    return judge(result.stdout.strip() != b"0", result)


async def _file_powers(trial: Trial) -> Verdict:
    result = await trial.python(CALLS + _FILE_POWERS)
    names = os.listxattr(trial.workspace / "power")
    left = [name for name in names if name.startswith(("security.capability", "trusted."))]
    return judge(result.stdout.strip() == b"refused" and not left, result)


async def _terminal(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _TERMINAL))


async def _shared_memory(trial: Trial) -> Verdict:
    """Hold System V and POSIX memory on the host, and look for what the sandbox left."""
    key = 0x57000000 + int(trial.secret[:5], 16) * 2
    planted = Path("/dev/shm", f"strop-exam-{key}")  # noqa: S108 - the place is the question
    with _host_memory(key, planted, trial.secret):
        result = await trial.python(CALLS + _SHARED_MEMORY, str(key), str(planted))
    there = _left_behind(key + 1)
    holds = result.stdout.strip() == b"refused" and not there
    return judge(holds, f"{result.stdout[-120:]!r}, left on the host: {there}")


@contextmanager
def _host_memory(key: int, path: Path, secret: str) -> Generator[None]:
    libc = ctypes.CDLL(None, use_errno=True)
    number = libc.shmget(key, 4096, 0o1644)
    path.write_text(secret)
    path.chmod(0o644)
    try:
        yield
    finally:
        path.unlink()
        libc.shmctl(number, 0, None)


def _left_behind(key: int) -> list[str]:
    """Return what exists under `key`, and remove it."""
    libc = ctypes.CDLL(None, use_errno=True)
    found: list[str] = []
    if (number := libc.shmget(key, 0, 0)) >= 0:
        found.append("memory")
        libc.shmctl(number, 0, None)
    if (number := libc.semget(key, 0, 0)) >= 0:
        found.append("semaphores")
        libc.semctl(number, 0, 0)
    if (number := libc.msgget(key, 0)) >= 0:
        found.append("a queue")
        libc.msgctl(number, 0, None)
    return found


async def _core_dump(trial: Trial) -> Verdict:
    result = await trial.python(_CRASH)
    dumps = [path.name for path in trial.workspace.iterdir()]
    return judge(not dumps and not result.ok, f"{result.outcome}, files: {dumps}")


async def _overwrite_programs(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _OVERWRITE_PROGRAMS))


CHECKS = (
    Check("no code gets into the kernel", "containment", _load_code, "root"),
    Check("the machine cannot be steered", "containment", _steer_machine, "root"),
    Check("the host's name stays", "containment", _host_name, "root"),
    Check("mounts cannot be changed", "containment", _mounts, "root"),
    Check("no namespace can be joined", "containment", _join_namespaces, "root"),
    Check("clone makes no namespaces either", "containment", _clone_namespaces, "root"),
    Check("files cannot be opened by handle", "containment", _handles, "root"),
    Check("keyrings are out of reach", "containment", _keys, "anyone"),
    Check("memory of other processes is out of reach", "containment", _other_memory, "anyone"),
    Check("io_uring, userfaultfd and perf are refused", "containment", _odd_doors, "root"),
    Check("another system-call interface is no way round", "containment", _other_abi),
    Check("the machine's devices are out of reach", "containment", _devices, "root"),
    Check("devices cannot be made", "containment", _make_devices, "root"),
    Check("no setting of kernel or control groups opens", "containment", _write_settings, "root"),
    Check("priority and limits cannot be raised", "containment", _priority, "anyone"),
    Check("a command holds no privilege", "containment", _privileges, "anyone"),
    Check("a setuid program of root's gains nothing", "containment", _setuid_program, "root"),
    Check("files get no capabilities", "containment", _file_powers, "root"),
    Check("no terminal can be typed into", "containment", _terminal),
    Check("shared memory is not shared with the host", "containment", _shared_memory, "anyone"),
    Check("a crash leaves no core file", "containment", _core_dump),
    Check("programs in use cannot be overwritten", "containment", _overwrite_programs, "root"),
)
