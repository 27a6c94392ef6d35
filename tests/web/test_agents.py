"""A person watches, wakes, tells and stops a standing agent on the page."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

from app.main import create_app
from tests.support.served import Served, served
from tests.support.service import RoleModel, call, settings_for
from tests.web.test_access import check
from tests.web.test_with_the_service import opened


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Served]:
    model = RoleModel(call("answer", text="nothing <b>new</b>"))
    with served(create_app(settings_for(tmp_path), model=model)) as running:
        yield running


def test_an_agent_is_woken_told_something_paused_and_resumed(
    context: BrowserContext, service: Served
) -> None:
    url = f"{service.url}api/v1/agents"
    with opened(context, f"{service.url}#/agents") as page:
        expect(page.get_by_text("No standing agents")).to_be_visible()
        body = {"name": "error <i>watch</i>", "instruction": "Watch the log.", "wakes_per_day": 1}
        made = httpx.post(url, json=body).json()
        page.reload()
        card = page.get_by_role("listitem").filter(has_text="error <i>watch</i>")
        expect(card.locator(".pill")).to_have_text("Asleep")
        card.get_by_role("button", name="Wake").click()
        expect(card).to_contain_text("1 wake-up")
        card.get_by_text("Reports").click()
        expect(card).to_contain_text("nothing <b>new</b>")
        card.get_by_label("Tell the agent something").fill("look at Tuesday")
        page.keyboard.press("Enter")
        expect(card).to_contain_text("1 wake-up a day, and has used them up")
        expect(card).to_contain_text("1 message to read")
        check(page)
        card.get_by_role("button", name="Pause").click()
        expect(card.locator(".pill")).to_have_text("Paused")
        expect(card.get_by_role("button", name="Pause")).to_be_hidden()
        card.get_by_role("button", name="Resume").click()
        expect(card.locator(".pill")).to_have_text("Asleep")
        card.get_by_role("link", name="its task").click()
        expect(page.locator(".answer .prose")).to_contain_text("nothing")
    [told] = httpx.get(f"{url}/{made['id']}/inbox").json()["items"]
    assert told["text"] == "look at Tuesday"
