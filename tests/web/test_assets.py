"""What is shipped to the browser: small, whole, and without ways to run foreign text."""

import re
from pathlib import Path

WEB = Path(__file__).parents[2] / "app" / "web"
SOURCES = sorted([*WEB.glob("*.html"), *WEB.glob("css/*.css"), *WEB.glob("js/*.js")])


def test_no_source_can_turn_text_into_markup_or_code() -> None:
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
        r"|DOMParser|createContextualFragment|\son\w+=\"|\sstyle=\""
    )
    assert [path.name for path in SOURCES if forbidden.search(path.read_text())] == []


def test_no_source_names_another_host() -> None:
    hosts = re.compile(r"https?://[\w.-]+")
    found = {host for path in SOURCES for host in hosts.findall(path.read_text())}
    assert found == {"http://www.w3.org"}


def test_the_page_loads_every_file_and_only_files_that_exist() -> None:
    page = (WEB / "index.html").read_text()
    named = set(re.findall(r'(?:href|src)="([\w/]+\.(?:css|js|svg))"', page))
    shipped = {str(path.relative_to(WEB)) for path in WEB.rglob("*") if path.is_file()}
    assert shipped - named == {"index.html", "js/types.js"}
    assert named - shipped == set()


def test_the_page_is_small() -> None:
    assert sum(path.stat().st_size for path in WEB.rglob("*") if path.is_file()) < 300_000
