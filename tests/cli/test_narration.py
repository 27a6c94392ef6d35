"""Events as people read them."""

from typing import Any

import pytest
from inline_snapshot import snapshot

from app.cli.narration import narrate

STORY: list[tuple[str, dict[str, Any]]] = [
    ("task", {"status": "running"}),
    (
        "recall",
        {
            "items": [
                {"kind": "tip", "text": "write dates as ISO", "withheld": False},
                {"kind": "tip", "text": "unseen", "withheld": True},
            ],
            "degraded": "no vectors: the index is down",
        },
    ),
    ("plan", {"thought": "", "subgoals": ["count rows", "write it down"], "replan": False}),
    ("action", {"step": 1, "thought": "Count\nthem.", "calls": [{"tool": "shell"}]}),
    ("model", {"prompt_tokens": 10}),
    ("step", {"n": 1, "outcome": "wrong_state", "error_class": "not_found", "feedback": "no file"}),
    ("step", {"n": 2, "outcome": "success"}),
    ("plan", {"subgoals": ["look first"], "replan": True}),
    ("model_retry", {"model": "m", "error": "429"}),
    ("model_fallback", {"model": "m", "error": "gone"}),
    ("model_queued", {"model": "m", "waited_s": 12.34, "bound": 2}),
    ("egress", {"host": "a.test", "port": 443, "method": "CONNECT", "allowed": True}),
    ("egress", {"host": "", "port": 0, "allowed": False, "reason": "bad_request: no\nsuch"}),
    ("egress_more", {"allowed": 3, "refused": 4}),
    ("question", {"text": "Which file?"}),
    ("review", {"accepted": False, "score": 0.2, "feedback": "no figure"}),
    ("review", {"accepted": True, "score": 1.0}),
    ("task", {"status": "failed", "end_reason": "max_steps", "error": "40 steps were not enough"}),
    (
        "learned",
        {
            "items": [
                {"kind": "tip", "outcome": "new", "text": "look first"},
                {"kind": "tip", "outcome": "refused", "text": "key=1", "reason": "a secret"},
            ]
        },
    ),
    ("end", {"status": "failed"}),
]


def test_a_task_reads_like_a_story() -> None:
    lines = [line for kind, data in STORY for line in narrate(kind, data)]
    assert "\n".join(lines) == snapshot("""\
task: running
recalled tip: write dates as ISO
recalled, but withheld to measure what it is worth: 1
recall is weaker than it could be: no vectors: the index is down
plan:
  1. count rows
  2. write it down
step 1: shell: Count them.
  step 1 failed (not_found): no file
new plan:
  1. look first
  the model m is asked again: 429
  going on without the model m: gone
  waited 12 s for a place at m
  the sandbox reached a.test:443 (CONNECT)
  the sandbox was kept from ?:0: bad_request: no such
  the sandbox made more connections: 3 allowed, 4 refused
question: Which file?
answer refused (score 0.20): no figure
answer accepted (score 1.00)
task: failed (max_steps)
  40 steps were not enough
learned tip: look first
not learned, a secret: key=1\
""")


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in STORY} - {"task"}))
def test_an_event_without_its_data_is_told_too(kind: str) -> None:
    assert all(isinstance(line, str) for line in narrate(kind, {}))


def test_an_event_of_an_unknown_kind_is_passed_over() -> None:
    assert narrate("someday", {"x": 1}) == []


def test_text_of_an_event_cannot_steer_the_terminal() -> None:
    (line,) = narrate("question", {"text": "\x1b[2Jgone"})
    assert "\x1b" not in line
