"""The page and the service together: what one sends is what the other reads."""

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from app.main import create_app
from tests.support.served import Served, served
from tests.support.service import RoleModel, call, settings_for

CODE = "open('sum.csv', 'w').write('region,sum\\nNorth,3\\n'); print('written')"
LESSONS = {
    "tips": [
        {
            "text": "orders.csv uses a decimal comma; replace it before you convert.",
            "scope_level": "file",
            "scope_key": "orders.csv",
            "polarity": "do",
            "error_class": None,
            "steps": [1],
        }
    ],
    "shortcut": None,
}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Served]:
    """Run the whole service on a model that follows a script."""
    model = RoleModel(
        call("python", code=CODE),
        call("ask_human", question="Which **region**?"),
        call("answer", text="North made **3**, see [sum.csv](sum.csv).", artifacts=["sum.csv"]),
        lessons=json.dumps(LESSONS),
    )
    with served(create_app(settings_for(tmp_path), model=model)) as running:
        yield running


@contextmanager
def opened(context: BrowserContext, url: str) -> Generator[Page]:
    """Open the service's own page; a broken content policy or script fails the test."""
    page = context.new_page()
    page.set_default_timeout(15_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    yield page
    page.close()
    assert complaints == []


@pytest.fixture
def page(context: BrowserContext, service: Served) -> Iterator[Page]:
    with opened(context, service.url) as page:
        yield page


def test_a_task_goes_from_the_box_to_the_answer_and_into_memory(
    page: Page, service: Served
) -> None:
    expect(page.locator(".model-line")).to_contain_text("scripted")
    page.locator(".example").first.click()
    page.keyboard.press("Enter")
    expect(page.locator(".given")).to_contain_text("orders.csv")
    question = page.locator(".question")
    expect(question).to_contain_text("Which region?", timeout=20_000)
    page.get_by_label("Your answer").fill("North")
    page.keyboard.press("Enter")
    expect(question.locator(".bubble")).to_have_text("North")
    expect(page.locator(".answer .prose")).to_have_text(
        "North made 3, see sum.csv.", timeout=20_000
    )
    expect(page.locator(".task-header .pill")).to_have_text("Done")
    expect(page.locator(".plan [data-status=done]")).to_have_text("done: do it")
    page.locator(".step summary").first.click()
    expect(page.get_by_label("Result of python")).to_contain_text("written")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".preview td").first).to_have_text("North")
    expect(page.get_by_label("Learned")).to_contain_text("uses a decimal comma")
    page.reload()
    expect(page.locator(".answer .prose")).to_have_text("North made 3, see sum.csv.")
    expect(page.locator(".step")).to_have_count(3)
    page.get_by_role("link", name="Memory", exact=True).first.click()
    page.get_by_text("Receipt: not used yet").click()
    expect(page.get_by_role("row", name="Without it")).to_contain_text("0")
    expect(page.locator(".entry")).to_contain_text("uses a decimal comma")


def test_the_embedded_model_does_every_example_and_learns_from_the_first(
    context: BrowserContext, tmp_path: Path
) -> None:
    answers = [("North", "14"), ("Whetstone", "39"), ("there are", "350 days")]
    app = create_app(settings_for(tmp_path, withholding_rate=0))
    with served(app) as running, opened(context, running.url) as page:
        expect(page.locator(".model-line")).to_contain_text("It needs no key and no network.")
        for number, (subject, value) in enumerate(answers):
            page.goto(f"{running.url}#/")
            page.locator(".example").nth(number).click()
            page.keyboard.press("Enter")
            row = page.locator(".answer").filter(has_text=subject)
            expect(row).to_contain_text(value, timeout=20_000)
            expect(page.locator(".task-header .pill")).to_have_text("Done")
            expect(page.get_by_label("Learned")).to_be_visible(timeout=20_000)
            if number == 0:
                expect(page.get_by_label("Learned")).to_contain_text("writes decimals with ','")
            if number == 1:
                expect(page.locator(".memories")).to_contain_text("writes decimals with ','")


def test_a_closed_server_asks_for_a_key_and_takes_it(
    context: BrowserContext, service: Served
) -> None:
    made = httpx.post(f"{service.url}api/v1/keys", json={"name": "page", "scopes": ["admin"]})
    page = context.new_page()
    page.goto(service.url)
    page.get_by_label("This server asks for an API key").fill(made.json()["key"])
    with page.expect_response("**/api/v1/tasks*") as listed:
        page.get_by_role("button", name="Use").click()
    assert listed.value.status == 200
    expect(page.get_by_label("This server asks for an API key")).to_have_count(0)
    page.close()
