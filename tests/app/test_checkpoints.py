"""What the savers of both databases promise."""

import operator
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from sqlalchemy import text

from app.checkpoints import PRUNE_EVERY, FencedSaver
from app.checkpoints import open_checkpoints as open_file
from app.checkpoints_postgres import PostgresSaver
from app.checkpoints_postgres import open_checkpoints as open_server
from app.db.records import Claim
from app.errors import Fenced
from app.fences import Fences
from memory.database import Database
from memory.postgres import dsn
from tests.support.postgres import PostgresServer
from tests.support.service import claimed, put, queued

pytestmark = pytest.mark.anyio
Saver = FencedSaver | PostgresSaver


class State(TypedDict):
    """What the graph of these tests keeps."""

    trace: Annotated[list[str], operator.add]


class NodeError(Exception):
    """What a node fails with."""


def _graph(saver: Saver, *, failing_at: int = -1, steps: int = 3) -> Any:
    def node(number: int) -> Any:
        def work(_state: State) -> State:
            if number == failing_at:
                raise NodeError
            return {"trace": [f"n{number}"]}

        return work

    graph: Any = StateGraph(State)
    for number in range(steps):
        graph.add_node(f"n{number}", node(number))
        graph.add_edge(f"n{number - 1}" if number else START, f"n{number}")
    graph.add_edge(f"n{steps - 1}", END)
    return graph.compile(checkpointer=saver)


def _config(run_id: str = "t_1.1") -> RunnableConfig:
    return RunnableConfig(configurable={"thread_id": run_id}, recursion_limit=200)


@pytest.fixture
def fences(database: Database) -> Fences:
    clock = iter(range(1_000_000))
    return Fences(database, clock=lambda: float(next(clock)))


@pytest.fixture
async def saver(database: Database, fences: Fences, tmp_path: Path) -> AsyncIterator[Saver]:
    async with AsyncExitStack() as stack:
        if database.is_postgres:
            opened = open_server(dsn(database.engine), fences.claim_of)
            yield await stack.enter_async_context(opened)
        else:
            file = open_file(tmp_path / "checkpoints.db", fences.check)
            yield await stack.enter_async_context(file)


def _claim(database: Database) -> Claim:
    claim = database.run_sync(partial(claimed, owner="one", phase="run"))
    assert claim is not None
    return claim


@pytest.fixture
def claim(database: Database) -> Claim:
    put(database, queued())
    return _claim(database)


async def _run(saver: Saver, value: State | None, **graph: int) -> list[str]:
    return (await _graph(saver, **graph).ainvoke(value, _config(), durability="sync"))["trace"]


async def test_a_graph_goes_on_where_it_failed(saver: Saver, fences: Fences, claim: Claim) -> None:
    with fences.holding(claim):
        with pytest.raises(NodeError):
            await _run(saver, {"trace": []}, failing_at=1)
        assert await _run(saver, None) == ["n0", "n1", "n2"]


async def test_nothing_is_kept_for_a_run_that_this_process_does_not_hold(saver: Saver) -> None:
    with pytest.raises(Fenced):
        await _run(saver, {"trace": []})
    assert await saver.runs() == set()


async def test_nothing_is_kept_for_a_claim_that_was_lost(
    saver: Saver, fences: Fences, claim: Claim, database: Database
) -> None:
    with fences.holding(claim):
        with pytest.raises(NodeError):
            await _run(saver, {"trace": []}, failing_at=1)
        database.run_sync(lambda c: c.execute(text("UPDATE tasks SET epoch = epoch + 1")))
        before = await saver.aget_tuple(_config())
        with pytest.raises(Fenced):
            await _run(saver, None)
        after = await saver.aget_tuple(_config())
    assert before is not None
    assert after is not None
    assert after.checkpoint["id"] == before.checkpoint["id"]
    assert after.pending_writes == before.pending_writes


async def test_a_forgotten_run_leaves_nothing(saver: Saver, fences: Fences, claim: Claim) -> None:
    with fences.holding(claim):
        await _run(saver, {"trace": []})
        assert await saver.runs() == {"t_1.1"}
        await saver.forget("t_1.1")
    assert await saver.runs() == set()


async def test_a_pruned_run_keeps_its_newest_state_and_goes_on(
    saver: Saver, fences: Fences, claim: Claim
) -> None:
    with fences.holding(claim):
        with pytest.raises(NodeError):
            await _run(saver, {"trace": []}, failing_at=2)
        assert len([one async for one in saver.alist(_config())]) > 1
        await saver.shrink("t_1.1")
        assert len([one async for one in saver.alist(_config())]) == 1
        assert await _run(saver, None) == ["n0", "n1", "n2"]


async def test_a_long_run_is_pruned_on_its_way(saver: Saver, fences: Fences, claim: Claim) -> None:
    steps = 2 * PRUNE_EVERY + 3
    with fences.holding(claim):
        trace = await _run(saver, {"trace": []}, steps=steps)
    assert len(trace) == steps
    assert len([one async for one in saver.alist(_config())]) < PRUNE_EVERY


async def test_processes_that_start_together_make_the_tables_once(
    postgres: PostgresServer, fences: Fences
) -> None:
    with postgres.fresh() as url:
        async with AsyncExitStack() as stack:
            plain = url.replace("+psycopg", "")
            for _ in range(3):
                saver = await stack.enter_async_context(open_server(plain, fences.claim_of))
                assert await saver.runs() == set()
