from pathlib import Path

import pytest

from models.base import ModelError, RateLimitedError, ScriptExhaustedError
from models.messages import Message, Request
from models.recording import RecordingModel, ReplayModel
from models.scripted import ScriptedModel, tool_call_message

pytestmark = pytest.mark.anyio


def request(text: str, purpose: str = "solver.act") -> Request:
    return Request(messages=(Message(role="user", content=text),), purpose=purpose)


async def record(path: Path, *asked: Request) -> None:
    model = RecordingModel(ScriptedModel(lambda r: r.messages[-1].content.upper()), path)
    for one in asked:
        await model.complete(one)


async def test_a_recording_plays_back_in_any_order(tmp_path: Path):
    path = tmp_path / "runs" / "one.jsonl"
    await record(path, request("a"), request("b"), request("a", "manager.plan"))
    replay = ReplayModel(path)
    pieces: list[str] = []
    for asked in (request("b"), request("a", "manager.plan"), request("a")):
        reply = await replay.complete(asked, on_text=pieces.append)
        assert reply.message.content == asked.messages[0].content.upper()
    assert pieces == ["B", "A", "A"]
    assert replay.unused() == ()
    assert replay.info.name == "scripted"


async def test_equal_calls_are_answered_in_the_order_of_the_recording(tmp_path: Path):
    path = tmp_path / "r.jsonl"
    model = RecordingModel(ScriptedModel(["one", "two"]), path)
    await model.complete(request("same"))
    await model.complete(request("same"))
    replay = ReplayModel(path)
    replies = [await replay.complete(request("same")) for _ in range(2)]
    assert [reply.message.content for reply in replies] == ["one", "two"]
    with pytest.raises(ScriptExhaustedError, match="0 other calls unused"):
        await replay.complete(request("same"))


async def test_failures_and_tool_calls_are_recorded_too(tmp_path: Path):
    path = tmp_path / "r.jsonl"
    script = [RateLimitedError("slow", retry_after_s=3.0), tool_call_message("add", {"a": 1})]
    model = RecordingModel(ScriptedModel(script), path)
    with pytest.raises(RateLimitedError):
        await model.complete(request("x"))
    await model.complete(request("x"))
    replay = ReplayModel(path)
    with pytest.raises(RateLimitedError, match="slow") as caught:
        await replay.complete(request("x"))
    assert caught.value.retry_after_s == 3.0
    assert (await replay.complete(request("x"))).message.tool_calls[0].name == "add"


async def test_a_changed_prompt_is_told_with_the_difference(tmp_path: Path):
    path = tmp_path / "r.jsonl"
    await record(path, request("Plan it.\nBe brief."))
    replay = ReplayModel(path)
    with pytest.raises(ScriptExhaustedError) as caught:
        await replay.complete(request("Plan it.\nBe verbose."))
    assert '-Be brief."' in str(caught.value)
    assert '+Be verbose."' in str(caught.value)
    assert len(replay.unused()) == 1


async def test_a_damaged_recording_is_told_by_its_line(tmp_path: Path):
    path = tmp_path / "r.jsonl"
    await record(path, request("a"))
    with path.open("a") as file:
        file.write('{"cut')
    with pytest.raises(ModelError, match="Line 2"):
        ReplayModel(path)
