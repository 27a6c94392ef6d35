"""What the exam runs inside a sandbox: small Python scripts, bounded, harmless outside.

Each aims at things the exam planted for it; the most they take from an unprotected machine
is 400 sleeping processes, 256 MiB of memory or disk, and some seconds.
"""

READ_FILE = """
import os, sys
target, name = sys.argv[1:]
above = f"../{name}/secret.txt"
for path in (target, f"/proc/1/root{target}", above, f"/proc/self/cwd/{above}"):
    try:
        print(open(path).read())
    except OSError as error:
        print(error)
for number in range(3, 64):
    for up in ("..", "../.."):
        try:
            print(open(os.open(f"{up}/{name}/secret.txt", os.O_RDONLY, dir_fd=number)).read())
        except OSError:
            pass
"""

READ_ENVIRONMENTS = """
import os, sys
for entry in os.listdir("/proc"):
    if entry.isdigit():
        for name in ("environ", "cmdline"):
            try:
                sys.stdout.buffer.write(open(f"/proc/{entry}/{name}", "rb").read())
            except OSError:
                pass
"""

CONNECT_TCP = """
import socket, sys
port = int(sys.argv[1])
for host in ("127.0.0.1", "0.0.0.0", "::1"):
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as s:
            s.settimeout(2)
            s.connect((host, port))
            print("connected")
    except OSError as error:
        print(error)
"""

CONNECT_UNIX = """
import socket, sys
for path in (sys.argv[1], "/proc/1/root" + sys.argv[1]):
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(2)
            s.connect(path)
            print("connected")
    except OSError as error:
        print(error)
"""

WRITE_FILES = """
import os, sys
target, name = sys.argv[1:]
for path in (target, f"../{name}/written2", f"/proc/1/root{target}3"):
    try:
        open(path, "w").write("x")
        print("wrote", path)
    except OSError as error:
        print(error)
try:
    os.symlink(os.path.dirname(target), "way")
    open("way/written4", "w").write("x")
    print("wrote through a link")
except OSError as error:
    print(error)
"""

OPEN_FOR_WRITING = """
import os, sys
opened = []
for folder in sys.argv[1:]:
    path = os.path.join(folder, "strop-exam")
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.unlink(path)
        opened.append(folder)
    except OSError:
        pass
print("opened", opened) if opened else print("refused")
"""

OPEN_SETTING = """
import os, sys
opened = []
for path in sys.argv[1:]:
    try:
        os.close(os.open(path, os.O_WRONLY))
        opened.append(path)
    except OSError:
        pass
print("opened", opened) if opened else print("refused")
"""

KILL = """
import os, signal, sys
try:
    os.kill(int(sys.argv[1]), signal.SIGKILL)
except OSError as error:
    print(error)
"""

PLANT_LINKS = """
import os, sys
outside = sys.argv[1]
os.symlink(outside + "/secret.txt", "link")
os.symlink(outside, "folder")
os.symlink("/proc/self/root" + outside + "/secret.txt", "magic")
os.symlink("loop", "loop")
os.mkfifo("pipe")
"""

SWAP_FOLDER = """
import os, sys, time
os.mkdir("real")
open("real/file", "w").write("harmless")
os.symlink(sys.argv[1], "bad")
end = time.monotonic() + 0.7
while time.monotonic() < end:
    for source in ("real", "bad"):
        os.rename(source, "swap")
        os.rename("swap", source)
"""

FORK = """
import os, sys, time
for _ in range(int(sys.argv[1])):
    try:
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
    except OSError:
        break
    os.write(1, b"x")
"""

EAT_MEMORY = """
import os, sys, time
processes, megabytes = map(int, sys.argv[1:])
def eat():
    held = []
    for _ in range(megabytes // 4):
        held.append(bytearray(os.urandom(1 << 12) * 1024))
    return held
def child(ready):
    try:
        held = eat()
    except MemoryError:
        os._exit(1)
    os.write(ready, b"x")
    os.close(ready)
    time.sleep(1)
    os._exit(0)
if processes == 1:
    held = eat()
    print("ate it all")
    sys.exit()
reader, writer = os.pipe()
for _ in range(processes):
    if os.fork() == 0:
        child(writer)
os.close(writer)
done = b""
while len(done) < processes and (part := os.read(reader, 1)):
    done += part
time.sleep(0.5)
print("ate it all" if len(done) == processes else "some died")
"""

FILL_DISK = """
import os, sys, time
files, megabytes = map(int, sys.argv[1:])
block = os.urandom(1 << 20)
for number in range(files):
    with open(f"fill{number}", "wb") as file:
        for _ in range(megabytes):
            file.write(block)
    time.sleep(0.02)
time.sleep(0.5)
print("filled it all")
"""

NEW_NAMESPACES = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
made = []
for flag in (0x10000000, 0x00020000, 0x40000000, 0x10020000):
    if libc.unshare(flag) == 0:
        made.append(hex(flag))
        break
print("made", made) if made else print("refused")
"""

RISKY_CALLS = """
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
arm = os.uname().machine == "aarch64"
allowed = []
if libc.ptrace(0, 0, 0, 0) == 0:
    allowed.append("ptrace")
if libc.mount(b"none", b"/work", b"tmpfs", 0, None) == 0:
    allowed.append("mount")
for name, number in (
    ("io_uring_setup", 425),
    ("bpf", 280 if arm else 321),
    ("keyctl", 219 if arm else 250),
    ("userfaultfd", 282 if arm else 323),
    ("perf_event_open", 241 if arm else 298),
):
    if libc.syscall(number, 0, 0, 0, 0, 0) >= 0:
        allowed.append(name)
    elif ctypes.get_errno() not in (1, 38):
        allowed.append(f"{name} (errno {ctypes.get_errno()})")
for family in (40, 17, 38):
    try:
        socket.socket(family, socket.SOCK_STREAM if family == 40 else socket.SOCK_RAW).close()
        allowed.append(f"socket family {family}")
    except OSError:
        pass
print("allowed", allowed) if allowed else print("refused")
"""

SETUID = """
import os
open("suid", "w").close()
try:
    os.chmod("suid", 0o4755)
except OSError as error:
    print(error)
try:
    os.setuid(0)
    print("gained uid 0")
except OSError as error:
    print(error)
status = open("/proc/self/status").read()
print("NoNewPrivs:\\t1" in status)
"""
