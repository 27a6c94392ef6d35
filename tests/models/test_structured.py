import json

import pytest
from inline_snapshot import snapshot
from pydantic import BaseModel

from models.base import BadReplyError, ModelRefusedError, RateLimitedError
from models.messages import Message, Reply, Request, Usage
from models.scripted import Line, ScriptedModel
from models.structured import ask

pytestmark = pytest.mark.anyio


class Score(BaseModel):
    value: int
    why: str


GOOD = '{"value": 3, "why": "clear"}'
REQUEST = Request(messages=(Message(role="user", content="Score it."),), max_tokens=100)


def said(text: str, finish: str = "stop", tokens: int = 10) -> Reply:
    usage = Usage(prompt_tokens=tokens, completion_tokens=1, usd=0.5, calls=1)
    turn = Message(role="assistant", content=text)
    return Reply.model_validate({"message": turn, "usage": usage, "finish": finish})


async def test_a_fitting_answer_is_returned_as_the_type_after_one_call():
    model = ScriptedModel([said(f"Sure:\n```json\n{GOOD}\n```")])
    score, usage = await ask(model, REQUEST, Score)
    assert score == Score(value=3, why="clear")
    assert usage.calls == 1
    output = model.requests[0].output
    assert output is not None
    assert (output.name, output.schema_["required"]) == ("Score", ["value", "why"])


@pytest.mark.parametrize("first", ["I think it is fine.", '{"value": "many"}', '{"value": 3', "[]"])
async def test_a_misfit_is_shown_to_the_model_once_with_the_reason(first: str):
    model = ScriptedModel([said(first), said(GOOD)])
    score, usage = await ask(model, REQUEST, Score)
    assert score.value == 3
    assert (usage.calls, usage.prompt_tokens, usage.usd) == (2, 20, 1.0)
    turns = model.requests[1].messages
    assert [turn.role for turn in turns] == ["user", "assistant", "user"]
    assert turns[1].content == first


async def test_the_complaint_names_the_fields():
    model = ScriptedModel(['{"value": "many"}', GOOD])
    await ask(model, REQUEST, Score)
    complaint = model.requests[1].messages[-1].content
    assert complaint.replace("; ", ";\n") == snapshot("""\
That reply cannot be used. Expected a JSON object of type Score;
value: Input should be a valid integer, unable to parse string as an integer (got 'many');
why: Field required (got {'value': 'many'})
Answer again with one JSON object of the wanted schema, and nothing else.\
""")


async def test_an_empty_reply_is_asked_again_without_an_empty_turn():
    model = ScriptedModel([said(""), said(GOOD)])
    await ask(model, REQUEST, Score)
    assert [turn.role for turn in model.requests[1].messages] == ["user", "user"]


async def test_an_answer_cut_at_the_limit_gets_more_room():
    model = ScriptedModel([said('{"value": 3, "w', finish="length"), said(GOOD)])
    await ask(model, REQUEST, Score)
    assert model.requests[1].max_tokens == 200
    assert "cut off" in model.requests[1].messages[-1].content


@pytest.mark.parametrize("second", ["still prose", "", '{"value": []}'])
async def test_a_second_misfit_is_a_bad_reply(second: str):
    model = ScriptedModel(["prose", second])
    with pytest.raises(BadReplyError):
        await ask(model, REQUEST, Score)
    assert len(model.requests) == 2


async def test_a_refusal_is_not_asked_again():
    model = ScriptedModel([said("I must not.", finish="refused")])
    with pytest.raises(ModelRefusedError, match="I must not"):
        await ask(model, REQUEST, Score)


@pytest.mark.parametrize(
    "script", [[RateLimitedError("slow")], ["prose", RateLimitedError("slow")]]
)
async def test_a_failed_call_passes_through(script: list[Line]):
    with pytest.raises(RateLimitedError):
        await ask(ScriptedModel(script), REQUEST, Score)


async def test_a_hundred_wrong_fields_do_not_make_a_long_complaint():
    class Many(BaseModel):
        items: list[int]

    model = ScriptedModel([json.dumps({"items": ["x" * 1000] * 100}), '{"items": []}'])
    await ask(model, REQUEST, Many)
    complaint = model.requests[1].messages[-1].content
    assert "and 92 more" in complaint
    assert len(complaint) < 3000
