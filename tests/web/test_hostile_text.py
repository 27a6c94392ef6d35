"""Whatever a model, a tool or a file name says, it stays text."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.chat_events import BEGINNING, END, action, step
from tests.support.chat_server import ChatServer

TRAP = "<img src=x onerror=\"window.caught = 'img'\"><script>window.caught = 'script'</script>"
LINKS = (
    "[a](javascript:window.caught='link') [b](data:text/html,<script>1</script>) "
    "[c](vbscript:x) ![d](https://elsewhere.test/pixel.png) <a href='x'>e</a>"
)

RENDER = """async ([source]) => {
    const { markdown } = await import("/js/markdown.js");
    const box = document.createElement("div");
    box.append(markdown(source));
    return box.innerHTML;
}"""


def render(page: Page, source: str) -> str:
    """Return the HTML that the page's own renderer makes."""
    return page.evaluate(RENDER, [source])


def test_hostile_text_never_becomes_markup(page: Page, server: ChatServer) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    task = server.add(f"Do this {TRAP}", [f"{TRAP}.csv"])
    name = 'x"><img src=y onerror=alert(1)>.csv'
    server.artifacts[name] = f"a,b\n{TRAP},{TRAP}\n".encode()
    page.goto(f"{server.url}#/tasks/{task.id}")
    page.on("dialog", lambda _: pytest.fail("a script ran"))
    arguments = {"code": TRAP, TRAP: TRAP}
    told = {"thought": TRAP, "feedback": TRAP, "outcome": "wrong_state", "error_class": "unknown"}
    for kind, data in [
        *BEGINNING[:3],
        ("plan", {"thought": TRAP, "subgoals": [TRAP], "replan": False}),
        ("note", {"notes": TRAP + LINKS}),
        ("question", {"text": TRAP + LINKS}),
        action(1, TRAP, arguments),
        step(1, TRAP, arguments, TRAP, **told),
        ("answer", {"answer": f"# {TRAP}\n\n{LINKS}\n\n| {TRAP} |\n|---|\n", "artifacts": [name]}),
        *END[2:],
    ]:
        server.emit(task.id, kind, data)
    expect(page.locator(".answer h3")).to_contain_text("<img src=x onerror=")
    for summary in page.locator("summary").all():
        summary.evaluate("element => { element.parentElement.open = true; }")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".preview td").first).to_contain_text("<img src=x")
    expect(page.get_by_label("Result of")).to_contain_text("<script>")
    assert page.evaluate("window.caught") is None
    assert page.locator("#view img, #view script, #view iframe, #view style").count() == 0
    hrefs = page.locator("#view a").evaluate_all("all => all.map((a) => a.protocol + a.host)")
    assert set(hrefs) <= {f"http:127.0.0.1:{server.port}", "https:elsewhere.test"}
    assert all(url.startswith(server.url) for url in requests)


def test_terminal_codes_and_direction_marks_do_no_harm(page: Page, server: ChatServer) -> None:
    task = server.add("Look", [])
    page.goto(f"{server.url}#/tasks/{task.id}")
    text = "\x1b[31mred\x1b[0m \x1b]0;title\x07 exe\u202efdp.txt \x00\x08end"
    server.emit(task.id, *step(1, "shell", {"command": "cat x"}, text))
    page.locator(".step summary").click()
    result = page.get_by_label("Result of shell")
    expect(result).to_have_text("red  exe[U+202E]fdp.txt end")


def test_a_result_of_five_megabytes_is_shown_in_pieces(page: Page, server: ChatServer) -> None:
    task = server.add("Look", [])
    page.goto(f"{server.url}#/tasks/{task.id}")
    server.emit(task.id, *step(1, "shell", {"command": "cat big"}, "0123456789\n" * 500_000))
    page.locator(".step summary").click()
    result = page.get_by_label("Result of shell")
    assert len(result.text_content() or "") == 6000
    page.get_by_role("button", name="Show more").click()
    assert len(result.text_content() or "") == 106_000


def test_markdown_keeps_its_shapes(page: Page) -> None:
    source = (
        "# Title\n\nA **bold** _word_, `co**de**` and\na [link](https://example.org/a_(b)).\n\n"
        "1. one\n   - inner\n2. two\n\n```py\nx = '<b>'\n```\n\n> quoted\n\n---\n\n"
        "| a | b |\n|---|--:|\n| 1 | 2\\|3 |\n\nsnake_case_name 2 * 3 * 4 \\*no\\*"
    )
    rel = 'target="_blank" rel="noopener noreferrer nofollow"'
    code = (
        '<pre tabindex="0" role="region" aria-label="Code, py"><code>x = \'&lt;b&gt;\'</code></pre>'
    )
    box = '<div class="scroll-x" tabindex="0" role="region" aria-label="Table">'
    table = (
        '<table><thead><tr><th>a</th><th class="right">b</th></tr></thead>'
        '<tbody><tr><td>1</td><td class="right">2|3</td></tr></tbody></table></div>'
    )
    assert render(page, source) == (
        "<h3>Title</h3><p>A <strong>bold</strong> <em>word</em>, <code>co**de**</code> and<br>"
        f'a <a href="https://example.org/a_(b)" {rel}>link</a>.</p>'
        f"<ol><li>one<ul><li>inner</li></ul></li><li>two</li></ol>{code}"
        f"<blockquote><p>quoted</p></blockquote><hr>{box}{table}"
        "<p>snake_case_name 2 * 3 * 4 *no*</p>"
    )


def test_markdown_of_any_kind_ends_in_good_time(page: Page) -> None:
    pieces = ["**", "[", "[a](", "`", "* ", "_a ", "> ", "- ", "|", "|-", "# ", "<http://", "1. "]
    for piece in [*pieces, "\\", "~~a ", "* a\n\n  ", "  - "]:
        page.evaluate(RENDER, [piece * 20_000])
        page.evaluate(RENDER, [f"{piece}\n" * 5_000])


def test_only_plain_web_addresses_become_links(page: Page) -> None:
    targets = ["javascript:1", "JaVaScRiPt:1", "data:text/html,x", "file:///x", "http://u:p@x.test"]
    for target in targets:
        assert "<a" not in render(page, f"[x]({target}) <{target}>")
