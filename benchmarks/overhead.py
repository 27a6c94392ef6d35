"""What the runtime adds to a step, and to the way from a submitted task to its first call.

A scripted model answers at once and a tool does nothing, so nearly all the time of a step is
ours: recall, prompts, checkpoints, journal, events and the look at the workspace, on disk.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

from app.schemas import Budget, TaskRequest
from app.settings import load_settings
from app.wiring import Runtime, open_runtime
from benchmarks.figures import Figure, figure
from models.messages import Message, Request, ToolCall
from models.scripted import Line, ScriptedModel

_WARM_UP = 10
_LOOK_S = 0.5
_ANSWERS = {
    "manager.plan": '{"thought": "", "subgoals": ["do nothing, often"]}',
    "refiner.notes": '{"notes": "nothing was done"}',
    "refiner.lessons": '{"tips": [], "shortcut": null}',
    "reviewer.answer": '{"accepted": true, "score": 1.0, "feedback": "", "mend": "nothing"}',
}


class Script:
    """Asks for the tool `nothing` a number of times, then answers; notes when it is asked."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = 0
        self.asked: list[float] = []

    def __call__(self, request: Request) -> Line:
        """Return the next line."""
        self.asked.append(time.monotonic())
        if request.purpose in _ANSWERS:
            return _ANSWERS[request.purpose]
        self._done += 1
        if self._done > self._steps:
            call = ToolCall(id="a", name="answer", arguments={"text": "nothing"})
        else:
            call = ToolCall(id="n", name="nothing", arguments={"n": self._done})
        return Message(role="assistant", tool_calls=(call,))


async def step_overhead(steps: int) -> list[Figure]:
    """Return the time of a durable step in which model and tool take none."""
    ends: list[float] = []
    async with _runtime(Script(steps)) as runtime:
        request = TaskRequest(instruction="Do nothing.", budget=Budget(steps=steps + 10))
        task = (await runtime.tasks.submit(request)).task
        # Whoever follows the events reads along with each of them; nobody does while we measure.
        while task.finished_at is None:
            await asyncio.sleep(_LOOK_S)
            task = await runtime.tasks.get(task.id)
        async for event in runtime.tasks.follow(task.id):
            if event.kind == "step":
                spent = sum(call["seconds"] for call in event.data["calls"])
                ends.append(event.at.timestamp() - spent)
    if task.status != "succeeded":
        msg = f"the benchmark's task {task.status}: {task.end_reason}: {task.error}"
        raise RuntimeError(msg)
    laps = [1000 * (after - before) for before, after in pairwise(ends)][_WARM_UP:]
    return [figure("overhead of a durable step", "ms", laps, aim=10)]


async def first_call_delay(tasks: int) -> list[Figure]:
    """Return the time from handing a task in to the model's being asked, in a warm process."""
    delays: list[float] = []
    script = Script(0)
    async with _runtime(script) as runtime:
        for n in range(tasks + 1):
            script.asked.clear()
            began = time.monotonic()
            request = TaskRequest(instruction=f"Do nothing, {n}.")
            submitted = await runtime.tasks.submit(request)
            async for _ in runtime.tasks.follow(submitted.task.id):
                pass
            delays.append(1000 * (script.asked[0] - began))
    return [figure("submit to first model call", "ms", delays[1:], aim=100)]


@asynccontextmanager
async def _runtime(script: Callable[[Request], Line]) -> AsyncGenerator[Runtime]:
    with tempfile.TemporaryDirectory(prefix="strop-bench-") as folder:
        home = Path(folder)
        settings = load_settings(
            directory=home, home=home, database_url="", plugins=("benchmarks.nothing",)
        )
        async with open_runtime(settings, model=ScriptedModel(script)) as runtime:
            yield runtime
