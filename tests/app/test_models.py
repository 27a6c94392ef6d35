import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.errors import InvalidInputError, SettingsError
from app.models import ModelDesk
from app.slots import FileLocks, SharedSlots
from app.wiring import open_runtime
from models.base import ModelServerError
from models.messages import Message, Request
from tests.support.openai_server import OpenAIServer
from tests.support.service import RoleModel, settings_for

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
ASK = Request(messages=(Message(role="user", content="hello"),), purpose="solver.operate")


async def test_the_named_model_is_taken_with_its_reason(tmp_path: Path) -> None:
    chosen = await ModelDesk(settings_for(tmp_path, model="embedded")).chosen()
    assert chosen.info.name == "embedded"
    assert chosen.reason


async def test_a_given_server_is_used_under_the_given_name(tmp_path: Path) -> None:
    with OpenAIServer(models=("one", "two")) as provider:
        settings = settings_for(tmp_path, model="two", model_base_url=provider.base_url)
        chosen = await ModelDesk(settings).chosen()
    assert chosen.info.name == "two"


@pytest.mark.parametrize("name", ["no-such-model", "opnai/gpt-6-luna", "\N{SNOWMAN}"])
async def test_a_name_that_nobody_knows_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match="model"):
        await ModelDesk(settings_for(tmp_path), fixed=RoleModel()).check(name)


async def test_a_model_that_was_handed_over_answers_for_every_task(tmp_path: Path) -> None:
    desk = ModelDesk(settings_for(tmp_path, model="embedded"), fixed=RoleModel("hello"))
    await desk.check("scripted")
    assert (await (await desk.get()).complete(ASK)).message.content == "hello"


async def test_the_next_model_steps_in_and_it_is_told(tmp_path: Path) -> None:
    failing = RoleModel(*[ModelServerError("down")] * 2)
    told: list[tuple[str, dict[str, Any]]] = []
    settings = settings_for(tmp_path, fallback_models=("embedded",))
    desk = ModelDesk(settings, fixed=failing)
    model = await desk.get(on_event=lambda kind, data: told.append((kind, data)))
    assert (await model.complete(ASK)).model == "embedded"
    assert told[-1][0] == "model_fallback"


async def test_calls_of_a_bounded_model_wait_for_their_place(tmp_path: Path) -> None:
    slots = SharedSlots(FileLocks(tmp_path))
    settings = settings_for(tmp_path, model_concurrency="scripted=1,*=5")
    model = await ModelDesk(settings, fixed=RoleModel("hello"), slots=slots).get()
    async with slots.held("scripted", 1):
        asking = asyncio.create_task(model.complete(ASK))
        await asyncio.wait([asking], timeout=0.1)
        assert not asking.done()
    assert (await asking).message.content == "hello"


async def test_settings_that_cannot_be_met_stop_the_start(tmp_path: Path) -> None:
    for wrong, variable in (
        ({"chroma_url": "localhost:8000"}, "STROP_CHROMA_URL"),
        ({"database_url": "mysql://host/db"}, "STROP_DATABASE_URL"),
    ):
        with pytest.raises(SettingsError, match=variable):
            async with open_runtime(settings_for(tmp_path, **wrong)):
                pass


WARMED = """
import asyncio, sys
from app.models import ModelDesk
from app.settings import Settings
desk = ModelDesk(Settings(model=sys.argv[1]))
async def warmed():
    await desk.warm()
    await desk.close()
asyncio.run(warmed())
print("litellm" in sys.modules)
"""


@pytest.mark.parametrize(("name", "loads"), [("embedded", "False"), ("openai/gpt-4o", "True")])
def test_litellm_is_loaded_ahead_only_for_a_model_that_needs_it(name: str, loads: str) -> None:
    command = [sys.executable, "-c", WARMED, name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.strip() == loads, done.stderr
