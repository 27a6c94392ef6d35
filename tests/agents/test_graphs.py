"""The graphs as drawn; a change of the wiring is seen in review."""

from inline_snapshot import snapshot

from agents.graphs.evolve import build_evolve_graph
from agents.graphs.operate import build_operate_graph
from agents.graphs.task import build_task_graph


def edges(drawing: str) -> str:
    return "\n".join(sorted(line.strip() for line in drawing.splitlines() if "->" in line))


def test_the_task_graph_is_wired_as_reviewed() -> None:
    assert edges(build_task_graph().get_graph().draw_mermaid()) == snapshot("""\
__start__ --> admit;
admit -.-> __end__;
admit -.-> plan;
advance --> operate;
finalise -.-> __end__;
finalise -.-> review_answer;
operate -.-> __end__;
operate -.-> advance;
operate -.-> finalise;
operate -.-> plan;
plan -.-> __end__;
plan -.-> advance;
repair -.-> __end__;
repair -.-> review_answer;
review_answer -.-> __end__;
review_answer -.-> plan;
review_answer -.-> repair;\
""")


def test_the_operate_graph_is_wired_as_reviewed() -> None:
    assert edges(build_operate_graph().get_graph().draw_mermaid()) == snapshot("""\
__start__ --> act;
act -.-> __end__;
act -.-> execute;
act -.-> gate;
execute -.-> gate;
execute -.-> review_step;
gate --> execute;
note -.-> __end__;
note -.-> act;
review_step -.-> __end__;
review_step -.-> act;
review_step -.-> note;\
""")


def test_the_evolve_graph_is_wired_as_reviewed() -> None:
    assert edges(build_evolve_graph().get_graph().draw_mermaid()) == snapshot("""\
__start__ --> record;
commit --> __end__;
propose --> commit;
record --> propose;\
""")
