"""The operators' page: a task from the box to the answer, in a real browser."""

import re
from collections.abc import Iterable

from playwright.sync_api import Page, expect

from tests.support.chat_events import BEGINNING, END, MIDDLE, Event
from tests.support.chat_server import ChatServer

RELEASED = re.compile(r"#/tasks/t\d+$")


def submit(page: Page, text: str = "Sum up sales.csv") -> None:
    """Give a task by keyboard."""
    page.get_by_label("What should be done?").fill(text)
    page.keyboard.press("Enter")
    page.wait_for_url(RELEASED)
    expect(page.locator(".task-asked .bubble")).to_have_text(text)


def play(server: ChatServer, events: Iterable[Event]) -> None:
    """Let events happen in the newest task."""
    for kind, data in events:
        server.emit(server.newest().id, kind, data)


def test_a_task_streams_its_plan_its_steps_its_answer_and_what_it_taught(
    page: Page, server: ChatServer
) -> None:
    submit(page)
    play(server, BEGINNING)
    expect(page.locator(".task-header .pill")).to_have_text("Running")
    expect(page.locator(".plan li")).to_have_count(2)
    expect(page.locator(".plan [data-status=running]")).to_contain_text("The columns are known")
    expect(page.locator(".step[data-outcome=running]")).to_have_count(1)
    expect(page.get_by_text("sales.csv separates fields with semicolons.")).to_be_visible()
    play(server, MIDDLE)
    expect(page.locator(".plan [data-status=done]")).to_have_count(2)
    expect(page.locator(".step")).to_have_count(3)
    expect(page.locator(".step").first).to_contain_text("bad arguments")
    play(server, END)
    expect(page.locator(".answer table td").first).to_have_text("North")
    expect(page.locator(".task-header .pill")).to_have_text("Done")
    expect(page.locator(".figures")).to_contain_text("4 model calls")
    expect(page.locator(".figures")).to_contain_text("$0.0084")
    expect(page.get_by_text("pass encoding='latin-1'")).to_be_visible()
    expect(page.get_by_text("Receipt: not yet known")).to_be_visible()
    expect(page.locator(".task-list a").first).to_contain_text("Done")


def test_a_step_opens_to_its_code_its_result_and_its_feedback(
    page: Page, server: ChatServer
) -> None:
    submit(page)
    play(server, [*BEGINNING, *MIDDLE])
    page.locator(".step summary").first.click()
    body = page.locator(".step-body").first
    expect(body.get_by_label("Argument code")).to_contain_text("csv.reader(open('sales.csv'))")
    expect(body.get_by_label("Result of python")).to_have_text("UnicodeDecodeError: byte 0xe9")
    expect(body).to_contain_text("The file is Latin-1; name the encoding.")
    expect(body).to_contain_text("wrong state, bad arguments, as judged by code")


def test_an_open_step_stays_open_when_its_result_comes(page: Page, server: ChatServer) -> None:
    submit(page)
    play(server, BEGINNING)
    page.locator(".step summary").click()
    expect(page.locator(".step-body")).to_contain_text("Running…")
    play(server, MIDDLE[:1])
    expect(page.locator(".step-body")).to_contain_text("UnicodeDecodeError")
    expect(page.locator(".step")).to_have_attribute("open", "")


def test_a_reload_keeps_everything(page: Page, server: ChatServer) -> None:
    submit(page)
    play(server, [*BEGINNING, *MIDDLE])
    expect(page.locator(".step")).to_have_count(3)
    page.reload()
    expect(page.locator(".step")).to_have_count(3)
    expect(page.locator(".plan [data-status=done]")).to_have_count(2)
    play(server, END)
    expect(page.locator(".answer")).to_contain_text("highest first")
    page.reload()
    expect(page.locator(".answer")).to_contain_text("highest first")
    expect(page.locator(".step")).to_have_count(3)
    expect(page.locator(".figures")).to_contain_text("4 model calls")


def test_a_cut_stream_resumes_with_nothing_lost_and_nothing_repeated(
    page: Page, server: ChatServer
) -> None:
    submit(page)
    play(server, BEGINNING)
    expect(page.locator(".step")).to_have_count(1)
    seen = len(server.newest().events)
    server.drop_streams()
    play(server, [*MIDDLE, *END])
    expect(page.locator(".answer")).to_contain_text("highest first")
    expect(page.locator(".step")).to_have_count(3)
    expect(page.locator(".figures")).to_contain_text("4 model calls")
    assert server.resumed_from == [0, seen]


def test_a_server_that_goes_away_is_said_quietly_and_found_again(
    page: Page, server: ChatServer
) -> None:
    submit(page)
    play(server, BEGINNING)
    expect(page.locator(".step")).to_have_count(1)
    server.stop()
    expect(page.get_by_text("The server cannot be reached. Trying again")).to_be_visible()
    play(server, [*MIDDLE, *END])
    server.start()
    expect(page.locator(".answer")).to_contain_text("highest first")
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator(".step")).to_have_count(3)


def test_a_question_is_answered_where_it_stands(page: Page, server: ChatServer) -> None:
    submit(page)
    question = ("question", {"text": "Leave rows without a price out?"})
    play(server, [*BEGINNING, question, ("task", {"status": "waiting_input"})])
    expect(page.locator(".task-header .pill")).to_have_text("Needs an answer")
    page.get_by_label("Your answer").fill("Yes")
    page.keyboard.press("Enter")
    expect(page.locator(".question .bubble")).to_have_text("Yes")
    expect(page.locator(".task-header .pill")).to_have_text("Running")
    assert server.messages == ["Yes"]


def test_the_stop_button_stops_the_task(page: Page, server: ChatServer) -> None:
    submit(page)
    play(server, BEGINNING)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".task-header .pill")).to_have_text("Stopped")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    expect(page.locator(".step-badge")).to_have_text("stopped")
    expect(page.locator(".answer")).to_contain_text("The task was stopped.")


def test_a_failed_task_says_why(page: Page, server: ChatServer) -> None:
    submit(page)
    why = {"status": "failed", "end_reason": "model_unavailable", "error": "llama3: refused"}
    play(server, [("task", why), ("end", {"status": "failed"})])
    expect(page.locator(".answer .problem")).to_contain_text("No model answered. Llama3: refused.")


def test_what_a_sandbox_reached_and_did_not_reach_is_said_once(
    page: Page, server: ChatServer
) -> None:
    submit(page)
    reached = {"host": "a.test", "port": 443, "method": "CONNECT", "allowed": True}
    reason = "host_not_allowed: <b>.test is not on the list"
    refused = {"host": "<b>.test", "port": 443, "allowed": False, "reason": reason}
    play(server, [("task", {"status": "running"}), *[("egress", reached), ("egress", refused)] * 2])
    play(server, [("egress_more", {"allowed": 3, "refused": 4})])
    expect(page.get_by_text("3 allowed, 4 refused")).to_be_visible()
    expect(page.get_by_text("a.test:443")).to_have_count(1)
    expect(page.locator(".timeline-line.trouble")).to_have_text(
        f"The sandbox was kept from <b>.test:443. {reason}"
    )


def test_a_refused_submission_is_readable_and_keeps_the_draft(
    page: Page, server: ChatServer
) -> None:
    server.refusal = {
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "instruction: at most 20000 characters",
        "errors": [{"field": "instruction", "message": "at most 20000 characters"}],
    }
    box = page.get_by_label("What should be done?")
    box.fill("A long one")
    page.keyboard.press("Enter")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Unprocessable Content")
    expect(alert.locator("li")).to_have_text("instruction at most 20000 characters")
    page.reload()
    expect(box).to_have_value("A long one")
    page.keyboard.press("Enter")
    page.wait_for_url(RELEASED)
    expect(box).to_have_value("")


def test_an_unknown_task_is_said_to_be_unknown(page: Page, server: ChatServer) -> None:
    server.add("Another", [])
    page.goto(f"{server.url}#/tasks/nothing")
    expect(page.get_by_role("alert")).to_contain_text("no task 'nothing'")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()


def test_two_tabs_agree(page: Page, server: ChatServer) -> None:
    submit(page)
    play(server, BEGINNING)
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator(".step[data-outcome=running]")).to_have_count(1)
    page.get_by_role("button", name="Stop").click()
    expect(other.locator(".task-header .pill")).to_have_text("Stopped")
    other.close()


def test_an_example_fills_the_box_and_brings_its_file(page: Page, server: ChatServer) -> None:
    expect(page.locator(".model-line")).to_contain_text("embedded")
    expect(page.locator(".example")).to_have_count(3)
    page.locator(".example").first.click()
    expect(page.get_by_label("What should be done?")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(RELEASED)
    assert server.newest().files == ["orders.csv"]
    expect(page.locator(".given")).to_contain_text("orders.csv")


def test_files_are_attached_by_button_by_drop_and_by_paste(page: Page, server: ChatServer) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Attach files").click()
    file = {"name": "a.csv", "mimeType": "text/csv", "buffer": b"x,y\n1,2\n"}
    chooser.value.set_files(files=[file])  # pyright: ignore[reportArgumentType] - a FilePayload is a plain dict
    page.evaluate(
        """() => {
            const give = (type, event, name) => {
                const data = new DataTransfer();
                data.items.add(new File(["1"], name));
                const init = { bubbles: true, cancelable: true };
                const made = new event(type, { ...init, dataTransfer: data, clipboardData: data });
                document.querySelector("#instruction").dispatchEvent(made);
            };
            give("drop", DragEvent, "b.txt");
            give("paste", ClipboardEvent, "c.png");
        }"""
    )
    expect(page.locator(".chips .chip")).to_have_count(3)
    page.get_by_role("button", name="Remove b.txt").click()
    submit(page)
    assert server.newest().files == ["a.csv", "c.png"]


def test_shift_enter_makes_a_new_line(page: Page) -> None:
    box = page.get_by_label("What should be done?")
    box.fill("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    expect(box).to_have_value("one\ntwo")


def test_artifacts_are_shown_and_downloaded(page: Page, server: ChatServer) -> None:
    server.artifacts["revenue.csv"] = b'region;revenue\n"North; far";258,50\n'
    submit(page)
    play(server, [*BEGINNING, *MIDDLE, *END])
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".preview td").first).to_have_text("North; far")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download revenue.csv").click()
    assert download.value.suggested_filename == "revenue.csv"
    assert download.value.path().read_bytes() == server.artifacts["revenue.csv"]


def test_memory_lists_tips_and_shortcuts_with_their_record(page: Page, server: ChatServer) -> None:
    tip = {"text": "Name the encoding.", "scope": {"level": "file", "key": "sales.csv"}}
    common = {"version": 1, "created_at": "2026-01-05T10:00:00Z", "provenance": {"task_id": "t1"}}
    server.memory["tips"] = [{"id": "m1", "status": "trial", "uses": 3, "body": tip, **common}]
    page.get_by_role("link", name="Memory").click()
    entry = page.locator(".entry")
    expect(entry).to_contain_text("Name the encoding.")
    expect(entry).to_contain_text("trial")
    entry.get_by_text("Receipt: shown in 3 runs").click()
    expect(entry.get_by_role("row", name="With it")).to_contain_text("324.5")
    expect(entry).to_contain_text("not yet known 1 run not ended yet.")
    expect(page.get_by_text("No shortcuts yet.")).to_be_visible()
