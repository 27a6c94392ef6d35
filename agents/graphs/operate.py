"""Act, pass the gate, execute, review, note, until the subgoal is done or a limit holds."""
# LangGraph leaves some type arguments open.
# pyright: reportUnknownMemberType=false

from typing import Literal

from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from agents.context import Run
from agents.gating import asks, gate
from agents.limits import escalates, stop_reason
from agents.operating import act, execute, leaving_steps, note, review_step
from agents.state import RunState

OperateGraph = CompiledStateGraph[RunState, Run, RunState, RunState]


def build_operate_graph() -> OperateGraph:
    """Wire the inner loop (Mobile-Agent-E, arXiv 2501.11733)."""
    graph = StateGraph(RunState, context_schema=Run)
    graph.add_node("act", act)
    graph.add_node("gate", gate)
    graph.add_node("execute", execute)
    graph.add_node("review_step", review_step)
    graph.add_node("note", note)
    graph.add_edge(START, "act")
    graph.add_conditional_edges("act", after_act)
    graph.add_edge("gate", "execute")
    graph.add_conditional_edges("execute", after_execute)
    graph.add_conditional_edges("review_step", after_review)
    graph.add_conditional_edges("note", after_note)
    return graph.compile(name="operate")


async def after_act(
    state: RunState, runtime: Runtime[Run]
) -> Literal["gate", "execute", "__end__"]:
    """End when a limit is reached; stop at the gate when a person has to be asked."""
    if state.get("end_reason"):
        return "__end__"
    return "gate" if asks(state, runtime.context) else "execute"


async def after_execute(state: RunState) -> Literal["gate", "review_step"]:
    """Ask about a call that may have happened, else have the step judged."""
    return "gate" if state.get("doubt") else "review_step"


async def after_review(state: RunState, runtime: Runtime[Run]) -> Literal["act", "note", "__end__"]:
    """End when the subgoal is answered or the Manager has to replan."""
    limits = runtime.context.task.limits
    if state.get("end_reason") or state.get("result") is not None:
        return "__end__"
    if escalates(state, limits) and stop_reason(state, limits) is None:
        return "__end__"
    return "note" if leaving_steps(state, limits.history_window) else "act"


async def after_note(state: RunState) -> Literal["act", "__end__"]:
    """Go on, unless the model is gone."""
    return "__end__" if state.get("end_reason") else "act"
