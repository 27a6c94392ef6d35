"""Python programs in Monty, an interpreter of its own whose worker processes are kept warm.

Monty is written in Rust and knows a part of Python. Its workers are processes without an
environment; each program gets a fresh session in one, takes well under a millisecond to
start and sees nothing of the host. What it asks the host for is answered here: to sleep,
and what its environment says. Everything else is refused by Monty itself.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from sandboxes.base import ExecResult, Limits, Outcome, SandboxUnavailableError
from sandboxes.output import Capture, Meter

if TYPE_CHECKING:
    from pydantic_monty import Monty, MontyError, MontySession, OSPolicy, ResourceLimits

SCRIPT = "code"
"""What a program is called in its tracebacks."""
_SIZE = 8
"""Programs that run at once; more wait for their turn."""
_SESSIONS_PER_WORKER = 1000
_RECURSION = 1000
_REQUESTS = 1000
"""Times that a program may ask the host for something."""
_LEAST_S = 0.001
_OUT_OF_TIME = ("feed time limit exceeded", "turn time limit exceeded")
_SHOW = "print(repr(value))"
_UNSHOWN = "(a value that has no text of its own; print its parts)\n"
_POLICY: "OSPolicy" = {"sleep": "call_host"}


class Job:
    """One program on its way through a worker, seen from both threads."""

    def __init__(self, code: str, env: Mapping[str, str], limits: Limits) -> None:
        self.code = code
        self.limits = limits
        self.ended_by: Outcome | None = None
        """The limit that ended it."""
        self.began = 0.0
        self._env = dict(env)
        self._meter = Meter(limits.output_kill_bytes)
        self.out = Capture(limits.stdout_bytes, self._meter)
        self.err = Capture(limits.stderr_bytes, self._meter)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._worker: int | None = None

    def enter(self, worker: int | None) -> None:
        """Note the process that it runs in, and the time."""
        with self._lock:
            if self._stopped.is_set():
                raise InterruptedError
            self._worker = worker
            self.began = time.monotonic()

    def leave(self) -> None:
        """Note that its worker is somebody else's now."""
        with self._lock:
            self._worker = None

    def stop(self, outcome: Outcome | None) -> None:
        """Kill its worker, once; the pool makes another one."""
        with self._lock:
            if self._stopped.is_set():
                return
            self._stopped.set()
            self.ended_by = outcome
            if self._worker is not None:
                with suppress(ProcessLookupError):
                    os.kill(self._worker, signal.SIGKILL)

    def left_s(self) -> float:
        """Return how long it may still take."""
        if not self.began:
            return self.limits.wall_s
        return self.began + self.limits.wall_s - time.monotonic()

    def take(self, stream: Literal["stdout", "stderr"], text: str) -> None:
        """Keep what it prints."""
        capture = self.out if stream == "stdout" else self.err
        capture.feed(text.encode(errors="backslashreplace"))
        if self._meter.exceeded.is_set():
            self.stop(Outcome.OUTPUT_LIMIT)

    def answer(
        self,
        *,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        is_async: bool,
        refusal: object,
        **_more: object,
    ) -> object:
        """Answer what a program asks the host for."""
        del kwargs, is_async
        if name in {"time.sleep", "asyncio.sleep"}:
            return self._sleep(float(args[0]))
        if name == "os.getenv":
            return self._env.get(str(args[0]), args[1] if len(args) > 1 else None)
        return dict(self._env) if name == "os.environ" else refusal

    def _sleep(self, seconds: float) -> None:
        left = self.left_s()
        self._stopped.wait(max(0.0, min(seconds, left)))
        if seconds >= left:
            self.stop(Outcome.TIMED_OUT)


class MontyPool:
    """Warm workers, and the threads that wait for them."""

    def __init__(self, size: int = _SIZE) -> None:
        """Begin with nothing; the first program starts the first worker."""
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="monty")
        self._size = size
        self._monty: Monty | None = None
        self._lock = threading.Lock()

    async def run(
        self, code: str, *, env: Mapping[str, str], limits: Limits, show_value: bool = False
    ) -> ExecResult:
        """Run a program in a fresh session; being cancelled kills its worker.

        With `show_value` the value of a last expression is printed, as at a prompt.

        Raises:
            SandboxUnavailableError: Monty is not installed for this machine.
        """
        job = Job(code, env, limits)
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._threads, self._work, job, show_value)
        alarm = loop.call_later(limits.wall_s, _expire, job, loop)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            job.stop(None)
            await asyncio.wait([work])
            work.exception()
            raise
        finally:
            alarm.cancel()

    def close(self) -> None:
        """End the workers."""
        self._threads.shutdown(cancel_futures=True)
        with self._lock:
            if self._monty is not None:
                self._monty.__exit__(None, None, None)
                self._monty = None

    def _work(self, job: Job, show_value: bool) -> ExecResult:
        pool = self._opened()
        from pydantic_monty import MontyError  # noqa: PLC0415 - heavy, see `_opened`

        session = pool.checkout(script_name=SCRIPT, limits=_bounds(job.limits), os_policy=_POLICY)
        try:
            with session:
                _run(session, job, show_value=show_value)
        except MontyError as error:
            return _ended(job, error)
        return _result(job, Outcome.EXITED, 0)

    def _opened(self) -> "Monty":
        with self._lock:
            if self._monty is None:
                self._monty = _open(self._size)
            return self._monty


def _open(size: int) -> "Monty":
    try:
        from pydantic_monty import Monty  # noqa: PLC0415 - heavy, and not made for every machine

        pool = Monty(
            min_processes=1, max_processes=size, max_checkouts_per_worker=_SESSIONS_PER_WORKER
        )
        return pool.__enter__()
    except (ImportError, OSError, RuntimeError) as error:
        msg = f"Monty cannot run here ({error}); type: pip install pydantic-monty"
        raise SandboxUnavailableError(msg) from error


def _bounds(limits: Limits) -> "ResourceLimits":
    return {
        "max_feed_duration_secs": max(_LEAST_S, limits.wall_s),
        "max_memory": limits.memory_bytes,
        "max_recursion_depth": _RECURSION,
        "max_suspensions": _REQUESTS,
        "max_total_sleep_secs": limits.wall_s,
    }


def _run(session: "MontySession", job: Job, *, show_value: bool) -> None:
    from pydantic_monty import NOT_HANDLED  # noqa: PLC0415 - heavy, see `_open`

    answer = partial(job.answer, refusal=NOT_HANDLED)
    job.enter(session.worker_pid)
    try:
        value = session.feed_run(job.code, print_callback=job.take, os=answer)
        if show_value and value is not None:
            _show(session, job, value)
    finally:
        job.leave()


def _show(session: "MontySession", job: Job, value: object) -> None:
    """Print a value by Monty, within its limits, and not by this process."""
    from pydantic_monty import MontyRuntimeError  # noqa: PLC0415 - heavy, see `_open`

    try:
        session.feed_run(_SHOW, inputs={"value": value}, print_callback=job.take)
    except MontyRuntimeError as error:
        if not isinstance(error.exception(), RuntimeError):
            raise
        job.take("stdout", _UNSHOWN)


def _expire(job: Job, loop: asyncio.AbstractEventLoop) -> None:
    """End a job whose time is up; one that waited for a worker began later."""
    left = job.left_s()
    if left > 0:
        loop.call_later(left, _expire, job, loop)
    else:
        job.stop(Outcome.TIMED_OUT)


def _ended(job: Job, error: "MontyError") -> ExecResult:
    from pydantic_monty import MontyCrashedError  # noqa: PLC0415 - heavy, see `_open`

    if job.ended_by is not None:
        return _result(job, job.ended_by, None)
    if isinstance(error, MontyCrashedError):
        job.take("stderr", f"the interpreter crashed: {error}\n")
        return _result(job, Outcome.SIGNALED, None)
    inner = error.exception()
    if isinstance(inner, TimeoutError) and str(inner).startswith(_OUT_OF_TIME):
        return _result(job, Outcome.TIMED_OUT, None)
    if isinstance(inner, MemoryError):
        return _result(job, Outcome.OOM, None)
    if isinstance(inner, SystemExit) and not str(inner):
        return _result(job, Outcome.EXITED, 0)
    display = getattr(error, "display", None)
    job.take("stderr", f"{display() if display else error}\n")
    return _result(job, Outcome.EXITED, 1)


def _result(job: Job, outcome: Outcome, exit_code: int | None) -> ExecResult:
    return ExecResult(
        outcome=outcome,
        exit_code=exit_code,
        signal=signal.SIGABRT if outcome is Outcome.SIGNALED else None,
        stdout=job.out.kept(),
        stderr=job.err.kept(),
        stdout_total=job.out.total,
        stderr_total=job.err.total,
        duration_s=time.monotonic() - job.began if job.began else 0.0,
    )
