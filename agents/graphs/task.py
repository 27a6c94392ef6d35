"""The whole life of a task: recall, plan, work through the subgoals, answer, be reviewed."""
# LangGraph leaves some type arguments open.
# pyright: reportUnknownMemberType=false

from typing import Any, Literal

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from agents.context import Run
from agents.graphs.operate import build_operate_graph
from agents.state import RunState
from agents.tasking import admit, advance, finalise, plan, repair, review_answer

TaskGraph = CompiledStateGraph[RunState, Run, RunState, RunState]


def build_task_graph(checkpointer: BaseCheckpointSaver[Any] | None = None) -> TaskGraph:
    """Wire the outer loop around the `operate` graph."""
    graph = StateGraph(RunState, context_schema=Run)
    graph.add_node("admit", admit)
    graph.add_node("plan", plan)
    graph.add_node("advance", advance)
    graph.add_node("operate", build_operate_graph())
    graph.add_node("finalise", finalise)
    graph.add_node("review_answer", review_answer)
    graph.add_node("repair", repair)
    graph.add_edge(START, "admit")
    graph.add_conditional_edges("admit", after_admit)
    graph.add_conditional_edges("plan", after_plan)
    graph.add_edge("advance", "operate")
    graph.add_conditional_edges("operate", after_operate)
    graph.add_conditional_edges("finalise", after_finalise)
    graph.add_conditional_edges("review_answer", after_review)
    graph.add_conditional_edges("repair", after_finalise)
    return graph.compile(checkpointer=checkpointer, name="task")


async def after_admit(state: RunState) -> Literal["plan", "__end__"]:
    """End when nothing can be begun."""
    return "__end__" if state.get("end_reason") else "plan"


async def after_plan(state: RunState) -> Literal["advance", "__end__"]:
    """End when there is no plan to be had."""
    return "__end__" if state.get("end_reason") else "advance"


async def after_operate(state: RunState) -> Literal["advance", "plan", "finalise", "__end__"]:
    """Go to the next subgoal, to the Manager, or to the answer."""
    if state.get("end_reason"):
        return "__end__"
    if state.get("result") is None:
        return "plan"
    open_ones = [s for s in state.get("plan", []) if s.status in {"pending", "running"}]
    failed = any(s.status == "failed" for s in state.get("plan", []))
    if failed and open_ones and not state.get("escalations", 0):
        return "plan"
    return "finalise" if failed or not open_ones else "advance"


async def after_finalise(state: RunState) -> Literal["review_answer", "__end__"]:
    """Have the answer reviewed."""
    return "__end__" if state.get("end_reason") else "review_answer"


async def after_review(state: RunState) -> Literal["repair", "plan", "__end__"]:
    """End with an accepted answer; mend its words or go back to work for a refused one."""
    review = state.get("review")
    if state.get("end_reason") or review is None:
        return "__end__"
    return "repair" if review.mend == "wording" else "plan"
