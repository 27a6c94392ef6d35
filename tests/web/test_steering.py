"""A person holds a task, speaks to it and decides its calls on the page."""

from playwright.sync_api import Page, expect

from tests.support.chat_events import BEGINNING, Event
from tests.support.chat_server import ChatServer
from tests.web.test_access import check
from tests.web.test_chat import play, submit

ASKED: list[Event] = [
    (
        "approval",
        {
            "id": "a_1",
            "status": "pending",
            "kind": "call",
            "tool": "shell",
            "risk": "medium",
            "arguments": {"command": "rm <b>all</b>"},
        },
    ),
    ("task", {"status": "waiting_approval"}),
]


def test_a_call_is_approved_where_it_stands(page: Page, server: ChatServer) -> None:
    submit(page)
    play(server, [*BEGINNING, *ASKED])
    card = page.get_by_label("Approval", exact=True)
    expect(card.get_by_label("Arguments")).to_contain_text("rm <b>all</b>")
    expect(page.locator(".pill").first).to_have_text("Needs approval")
    card.get_by_role("button", name="Approve").focus()
    page.keyboard.press("Enter")
    expect(card).to_contain_text("Approved")
    assert server.decisions == [{"decision": "approve", "note": ""}]


def test_a_call_is_rejected_with_words_to_the_agent(page: Page, server: ChatServer) -> None:
    submit(page)
    play(server, [*BEGINNING, *ASKED])
    page.get_by_label("Words to the agent").fill("not that folder")
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_label("Approval", exact=True)).to_contain_text("Rejected: not that folder")
    assert server.decisions == [{"decision": "reject", "note": "not that folder"}]


def test_a_task_is_held_and_let_go_on(page: Page, server: ChatServer) -> None:
    submit(page)
    play(server, BEGINNING)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".task-header .pill")).to_have_text("Paused")
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".task-header .pill")).to_have_text("Running")


def test_a_running_task_is_told_something(page: Page, server: ChatServer) -> None:
    submit(page)
    play(server, BEGINNING)
    page.get_by_label("Tell the running task something").fill("In euros.")
    page.keyboard.press("Enter")
    expect(page.locator(".timeline-message")).to_have_text("In euros.")
    assert server.messages == ["In euros."]


def test_a_failed_task_is_tried_again_and_followed(page: Page, server: ChatServer) -> None:
    submit(page)
    play(server, [*BEGINNING, ("task", {"status": "failed", "error": "no luck"})])
    play(server, [("end", {"status": "failed"})])
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".task-header .pill")).to_have_text("Queued")
    play(
        server, [("task", {"status": "running"}), ("answer", {"answer": "found", "artifacts": []})]
    )
    expect(page.locator(".answer")).to_contain_text("found")


def test_the_card_of_an_approval_is_accessible(page: Page, server: ChatServer) -> None:
    submit(page)
    play(server, [*BEGINNING, *ASKED])
    expect(page.get_by_label("Approval", exact=True)).to_be_visible()
    check(page)
