"""A graph of LangGraph alone with the savers that Strop keeps its state with: what is not ours."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, TypedDict

from benchmarks.places import Place

_WARM_UP = 10
_LINE = "x" * 500


class _State(TypedDict):
    """As much as the state of a run: short texts, one for each step within the window."""

    n: int
    lines: list[str]


async def bare_steps(where: Place, count: int) -> list[float]:
    """Return the milliseconds of each step of a graph that asks nobody and does nothing.

    A step of Strop is three nodes (ask, act, judge); so it is here.
    """
    from langgraph.graph import END, START, StateGraph  # noqa: PLC0415 - takes a second to import

    ends: list[float] = []

    def ask(state: _State) -> dict[str, Any]:
        return {"n": state["n"] + 1}

    def act(state: _State) -> dict[str, Any]:
        return {"lines": [*state["lines"], _LINE][-20:]}

    def judge(_state: _State) -> dict[str, Any]:
        ends.append(time.monotonic())
        return {}

    def again(state: _State) -> str:
        return "ask" if state["n"] < count else END

    graph: Any = StateGraph(_State)
    for name, node in (("ask", ask), ("act", act), ("judge", judge)):
        graph.add_node(name, node)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", "act")
    graph.add_edge("act", "judge")
    graph.add_conditional_edges("judge", again)
    async with _saver(where) as saver:
        compiled = graph.compile(checkpointer=saver)
        config = {"configurable": {"thread_id": "bare"}, "recursion_limit": 10 * count}
        await compiled.ainvoke({"n": 0, "lines": []}, config, durability="sync")
    return [1000 * (after - before) for before, after in pairwise(ends)][_WARM_UP:]


@asynccontextmanager
async def _saver(where: Place) -> AsyncGenerator[Any]:
    """Open LangGraph's own saver, set up as Strop sets up its one."""
    if where.url:
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver  # noqa: PLC0415 - see above

        plain = where.url.replace("+psycopg", "")
        async with AsyncPostgresSaver.from_conn_string(plain) as saver:
            await saver.setup()
            yield saver
        return
    import aiosqlite  # noqa: PLC0415 - see above
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver  # noqa: PLC0415 - see above

    path = where.home.parent / "bare.db"
    async with aiosqlite.connect(path, isolation_level=None) as connection:
        await connection.execute("PRAGMA synchronous=NORMAL")
        saver = AsyncSqliteSaver(connection)
        await saver.setup()
        yield saver
