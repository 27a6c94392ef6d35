"""The events of a whole run, as the runtime records them."""

from typing import Any

Event = tuple[str, dict[str, Any]]

CODE = "import csv\n\nrows = list(csv.reader(open('sales.csv')))\nprint(len(rows))\n"
ANSWER = """Revenue by region, **highest first**:

| Region | Revenue |
|:-------|--------:|
| North | 258.50 |
| South | 82.80 |

- 1 row without a price was left out
- the result is in [revenue.csv](revenue.csv)
"""


def call(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a call as it stands in an `action` event."""
    return {"id": "c1", "tool": tool, "arguments": arguments}


def step(n: int, tool: str, arguments: dict[str, Any], text: str, **more: Any) -> Event:
    """Return the event of a finished step."""
    ok = more.get("outcome", "success") == "success"
    record = {**call(tool, arguments), "ok": ok, "text": text, "seconds": 0.42}
    data = {
        "n": n,
        "subgoal": 0,
        "thought": "Read the file first.",
        "calls": [record],
        "changed": [],
        "outcome": "success",
        "error_class": None,
        "feedback": "",
        "decided_by": "code",
    }
    return "step", data | more


def action(n: int, tool: str, arguments: dict[str, Any]) -> Event:
    """Return the event of a step that begins."""
    thought = "Read the file first."
    data = {"step": n, "subgoal": 0, "thought": thought, "calls": [call(tool, arguments)]}
    return "action", data


def model() -> Event:
    """Return the event of a model call."""
    figures = {"prompt_tokens": 900, "completion_tokens": 100, "usd": 0.0021, "seconds": 1.5}
    return "model", {"purpose": "act", "model": "embedded", **figures}


BEGINNING: list[Event] = [
    ("task", {"status": "running"}),
    (
        "recall",
        {
            "items": [
                {
                    "id": "m1",
                    "kind": "tip",
                    "text": "sales.csv separates fields with semicolons.",
                    "scope": "file sales.csv",
                    "score": 0.9,
                    "withheld": False,
                    "reasons": ["file sales.csv"],
                }
            ],
            "degraded": "",
        },
    ),
    model(),
    (
        "plan",
        {
            "thought": "Look at the data, then add up.",
            "subgoals": ["The columns are known", "revenue.csv holds the sums"],
            "replan": False,
        },
    ),
    ("subgoal", {"index": 0, "text": "The columns are known", "status": "running"}),
    model(),
    action(1, "python", {"code": CODE}),
]

MIDDLE: list[Event] = [
    step(
        1,
        "python",
        {"code": CODE},
        "UnicodeDecodeError: byte 0xe9",
        outcome="wrong_state",
        error_class="bad_arguments",
        feedback="The file is Latin-1; name the encoding.",
    ),
    model(),
    action(2, "python", {"code": CODE}),
    step(2, "python", {"code": CODE}, "9"),
    ("subgoal", {"index": 0, "text": "The columns are known", "status": "done", "result": "9"}),
    ("subgoal", {"index": 1, "text": "revenue.csv holds the sums", "status": "running"}),
    model(),
    action(3, "python", {"code": "print('sum')"}),
    step(3, "python", {"code": "print('sum')"}, "North 258.50", changed=["revenue.csv"]),
    ("subgoal", {"index": 1, "text": "revenue.csv holds the sums", "status": "done"}),
]

END: list[Event] = [
    ("review", {"accepted": True, "score": 0.95, "feedback": "", "mend": "nothing", "round": 0}),
    ("answer", {"answer": ANSWER, "artifacts": ["revenue.csv"]}),
    ("task", {"status": "succeeded", "end_reason": "done"}),
    (
        "learned",
        {
            "items": [
                {
                    "id": "m2",
                    "kind": "tip",
                    "outcome": "new",
                    "text": "sales.csv is Latin-1; pass encoding='latin-1'.",
                    "reason": "",
                    "provenance": {"steps": [1, 2]},
                }
            ]
        },
    ),
    ("end", {"status": "succeeded"}),
]
