"""Keep a Python interpreter and evaluate what comes in; its source text runs inside a sandbox.

It speaks frames over its own stdin and stdout, which the evaluated code never sees: for it,
stdin is empty, stdout and stderr are pipes that are passed on. Whoever reads these frames
must take them for hostile all the same, since the code shares this process.
"""

import ast
import contextlib
import fcntl
import json
import linecache
import os
import select
import struct
import sys
import threading
import traceback
import types
from typing import Any

HEADER = struct.Struct(">cI")
"""Kind and length of a frame: `r` ready, `o` and `e` printed, `d` done; `x` towards us."""
_CHUNK = 1 << 16


class Wire:
    """The frames, and the pipes whose contents become frames."""

    def __init__(self) -> None:
        self._inward, self._outward = os.dup(0), os.dup(1)
        self._lock = threading.Lock()
        self._pipes = {self._redirect(1): b"o", self._redirect(2): b"e"}
        empty = os.open(os.devnull, os.O_RDONLY)
        os.dup2(empty, 0)
        os.close(empty)

    def _redirect(self, descriptor: int) -> int:
        """Let `descriptor` write into a pipe and return where that is read."""
        reader, writer = os.pipe()
        os.dup2(writer, descriptor)
        os.close(writer)
        fcntl.fcntl(reader, fcntl.F_SETFL, os.O_NONBLOCK)
        return reader

    def receive(self) -> bytes:
        """Return the next frame's data; ends the process with the other side."""
        _, size = HEADER.unpack(self._exactly(HEADER.size))
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = os.read(self._inward, size - len(data))
            if not part:
                os._exit(0)
            data += part
        return data

    def send(self, kind: bytes, data: bytes) -> None:
        """Write one frame, after whatever was printed before it."""
        with self._lock:
            self._pass_on()
            self._write(kind, data)

    def _write(self, kind: bytes, data: bytes) -> None:
        view = memoryview(HEADER.pack(kind, len(data)) + data)
        while view:
            view = view[os.write(self._outward, view) :]

    def _pass_on(self) -> None:
        for reader, kind in self._pipes.items():
            try:
                while data := os.read(reader, _CHUNK):
                    self._write(kind, data)
            except BlockingIOError:
                pass

    def pump(self) -> None:
        """Pass on what is printed while code runs, for ever."""
        poll = select.poll()
        for reader in self._pipes:
            poll.register(reader, select.POLLIN)
        while True:
            poll.poll()
            with self._lock:
                self._pass_on()


class Session:
    """One module whose names stay."""

    def __init__(self) -> None:
        self._main = types.ModuleType("__main__")
        sys.modules["__main__"] = self._main
        self._number = 0

    def evaluate(self, source: str) -> int:
        """Run `source`, show the value of a last expression, and return an exit code."""
        self._number += 1
        name = "<code>" if self._number == 1 else f"<code {self._number}>"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        code = 0
        try:
            self._run(source, name)
        except SystemExit as error:
            code = _exit_code(error)
        except BaseException as error:  # noqa: BLE001 - the code's failure is a result
            _show(error, name)
            code = 1
        for stream in (sys.stdout, sys.stderr):
            _flush(stream)
        return code

    def _run(self, source: str, name: str) -> None:
        tree = ast.parse(source, name)
        names = self._main.__dict__
        end = tree.body[-1] if tree.body else None
        last = ast.Expression(end.value) if isinstance(end, ast.Expr) else None
        if last is not None:
            tree.body.pop()
        exec(compile(tree, name, "exec"), names)  # noqa: S102 - inside the sandbox
        if last is not None:
            sys.displayhook(eval(compile(last, name, "eval"), names))  # noqa: S307 - inside


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(error.code, file=sys.stderr)  # noqa: T201 - as the interpreter does
    return 1


def _show(error: BaseException, name: str) -> None:
    """Print a traceback without the frames of this file."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename != name:
        frames = frames.tb_next
    traceback.print_exception(type(error), error, frames)


def _flush(stream: Any) -> None:  # noqa: ANN401 - the code may have put anything there
    with contextlib.suppress(Exception):  # its own stream, its own loss
        stream.flush()


def main() -> None:
    """Serve until the other side closes."""
    wire, session = Wire(), Session()
    # Last, so that a `csv.py` there does not replace the library's.
    sys.path.append(os.getcwd())  # noqa: PTH109 - `pathlib` would double the start
    threading.Thread(target=wire.pump, daemon=True).start()
    wire.send(b"r", b"")
    while True:
        code = session.evaluate(wire.receive().decode())
        wire.send(b"d", json.dumps({"code": code}).encode())


if __name__ == "__main__":
    main()
