"""Learn from a run that has ended, whatever its ending."""
# LangGraph leaves some type arguments open.
# pyright: reportUnknownMemberType=false

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from agents.context import Run
from agents.learning import EvolveState, commit, draw_lessons, record_outcome

EvolveGraph = CompiledStateGraph[EvolveState, Run, EvolveState, EvolveState]


def build_evolve_graph(checkpointer: BaseCheckpointSaver[Any] | None = None) -> EvolveGraph:
    """Wire summarise, propose and commit; memory's gates stand in `commit`."""

    async def record(state: EvolveState, runtime: Runtime[Run]) -> EvolveState:
        return await record_outcome(state, runtime.context)

    async def propose(state: EvolveState, runtime: Runtime[Run]) -> EvolveState:
        return await draw_lessons(state, runtime.context)

    async def keep(state: EvolveState, runtime: Runtime[Run]) -> EvolveState:
        return await commit(state, runtime.context)

    graph = StateGraph(EvolveState, context_schema=Run)
    graph.add_node("record", record)
    graph.add_node("propose", propose)
    graph.add_node("commit", keep)
    graph.add_edge(START, "record")
    graph.add_edge("record", "propose")
    graph.add_edge("propose", "commit")
    return graph.compile(checkpointer=checkpointer, name="evolve")
