"""The page can be read and used by everyone: keyboard, phone, contrast, labels."""

from importlib.resources import files
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.support.chat_events import BEGINNING, END, MIDDLE
from tests.support.chat_server import ChatServer

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
QUESTION = ("question", {"text": "Which year?"})
VIOLATIONS = """async () => {
    const { violations } = await axe.run(document, { resultTypes: ["violations"] });
    const grave = violations.filter((found) => ["serious", "critical"].includes(found.impact));
    return grave.flatMap((found) => found.nodes.map((node) => `${found.id}: ${node.html}`));
}"""


def check(page: Page) -> None:
    """Expect that axe finds nothing serious and that nothing is wider than the page."""
    page.evaluate(AXE)
    assert page.evaluate(VIOLATIONS) == []
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) <= 0


def fill_server(server: ChatServer) -> None:
    """Keep a task that has everything in it, one that asks, and a tip."""
    server.artifacts["revenue.csv"] = b"region,revenue\nNorth,1\n"
    done = server.add("Sum up sales.csv " + "very-long-name" * 20, ["sales.csv"])
    for kind, data in [*BEGINNING, *MIDDLE, *END]:
        server.emit(done.id, kind, data)
    asking = server.add("Ask", [])
    for kind, data in [*BEGINNING, QUESTION, ("task", {"status": "waiting_input"})]:
        server.emit(asking.id, kind, data)
    body = {"text": "Name the encoding.", "scope": {"level": "global", "key": ""}}
    tip = {"id": "m1", "status": "trial", "version": 1, "uses": 0, "body": body}
    server.memory["tips"] = [{**tip, "created_at": "2026-01-05T10:00:00Z"}]


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("dark", 390), ("light", 1920)]
)
def test_every_view_is_accessible_in_light_and_dark_wide_and_narrow(
    page: Page, server: ChatServer, scheme: Literal["light", "dark"], width: int
) -> None:
    fill_server(server)
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.reload()
    expect(page.locator(".model-line")).to_contain_text("embedded")
    check(page)
    page.goto(f"{server.url}#/tasks/t1")
    page.locator(".work > summary").click()
    page.locator(".step summary").first.click()
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".preview td").first).to_have_text("North")
    check(page)
    page.goto(f"{server.url}#/tasks/t2")
    expect(page.get_by_label("Your answer")).to_be_visible()
    check(page)
    page.goto(f"{server.url}#/memory")
    expect(page.locator(".entry")).to_have_count(1)
    check(page)


def test_everything_can_be_done_with_the_keyboard(page: Page, server: ChatServer) -> None:
    press = page.keyboard.press
    expect(page.get_by_label("What should be done?")).to_be_focused()
    page.keyboard.type("Sum up")
    press("Enter")
    expect(page.locator(".task-asked .bubble")).to_have_text("Sum up")
    for kind, data in [*BEGINNING, QUESTION, ("task", {"status": "waiting_input"})]:
        server.emit(server.newest().id, kind, data)
    expect(page.get_by_label("Your answer")).to_be_visible()
    page.locator(".step summary").focus()
    press("Enter")
    expect(page.locator(".step-body")).to_be_visible()
    press("a")
    page.keyboard.type("2025")
    press("Enter")
    expect(page.locator(".question .bubble")).to_have_text("2025")
    page.get_by_role("button", name="Stop").focus()
    press("Space")
    expect(page.locator(".task-header .pill")).to_have_text("Stopped")
    press("m")
    expect(page.get_by_role("heading", name="Memory")).to_be_visible()
    press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    press("/")
    expect(page.get_by_label("What should be done?")).to_be_focused()


def test_the_first_tab_stop_skips_to_the_content(page: Page) -> None:
    page.evaluate("location.hash = '#/memory'")
    page.reload()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#view")).to_be_focused()


def test_the_task_list_opens_and_closes_on_a_phone(page: Page, server: ChatServer) -> None:
    server.add("Sum up", [])
    page.set_viewport_size({"width": 390, "height": 800})
    page.reload()
    entry = page.get_by_role("link", name="Sum up")
    expect(entry).to_be_hidden()
    page.get_by_role("button", name="Tasks").click()
    expect(entry).to_be_visible()
    page.keyboard.press("Escape")
    expect(entry).to_be_hidden()
    expect(page.get_by_role("button", name="Tasks")).to_be_focused()
    page.get_by_role("button", name="Tasks").click()
    entry.click()
    expect(page.locator(".task-asked .bubble")).to_have_text("Sum up")
    expect(entry).to_be_hidden()
