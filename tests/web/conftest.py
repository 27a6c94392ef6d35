"""One browser and one server for all tests of the page; nothing else is shared."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    sync_playwright,
)

from tests.support.chat_server import ChatServer, chat_server

CHROMIUM = Path("/usr/bin/chromium")
MISSING = f"{CHROMIUM} is missing; install it: apt-get install -y chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Debian's Chromium; where it is missing, root has to install it."""
    if not CHROMIUM.exists():
        if os.geteuid() == 0:
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def serving() -> Iterator[ChatServer]:
    """Serve the page."""
    with chat_server() as running:
        yield running


@pytest.fixture
def server(serving: ChatServer) -> Iterator[ChatServer]:
    """Give the server with no tasks."""
    yield serving
    serving.forget()


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Keep one cache for all tabs; what the page itself stores lives in the tab."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, server: ChatServer) -> Iterator[Page]:
    """Open the first page in a new tab; whatever the console complains of fails the test."""
    page = context.new_page()
    page.set_default_timeout(8000)
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            complaints.append(message.text)

    def failed(error: Error) -> None:
        complaints.append(str(error))

    page.on("console", heard)
    page.on("pageerror", failed)
    page.goto(server.url)
    yield page
    page.close()
    assert complaints == []
