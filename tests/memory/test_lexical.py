from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from memory.database import Database
from memory.lexical import Hit, bm25, query_words, scan_lexical, search_lexical, searchable, words
from memory.records import Provenance, Tip
from memory.rows import load_entries
from memory.store import MemoryStore

pytestmark = pytest.mark.anyio
Search = Callable[..., list[Hit]]
TIPS = (
    "Read the header row of a CSV table before computing sums.",
    "Quote file names that contain spaces in shell commands.",
    "Call parseDate with the locale of the document.",
    "Use run_python for arithmetic instead of guessing.",
)
SYNTAX = ('"', "a AND", "NEAR(", "x*", "-b", "c:d", "'; DROP", 'a" OR "b')


@pytest.fixture
async def filled(store: MemoryStore, database: Database, provenance: Provenance) -> Database:
    for text in TIPS:
        await store.remember(Tip(text=text), namespace="n", provenance=provenance)
    return database


def find(
    database: Database, query: str, namespace: str = "n", search: Search = search_lexical
) -> list[str]:
    def work(connection: Connection) -> list[str]:
        hits = search(connection, query, namespace=namespace, kind="tip", k=10)
        entries = load_entries(connection, [entry_id for entry_id, _ in hits])
        return [entries[entry_id].text for entry_id, _ in hits]

    return database.run_sync(work)


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("reading tables: which headers?", 0),
        ("spaces in a file name", 1),
        ("parse a date", 2),
        ("python", 3),
        ("RunPython", 3),
    ],
)
@pytest.mark.parametrize("search", [search_lexical, scan_lexical])
async def test_words_are_found_in_other_forms_and_inside_names(
    filled: Database, query: str, number: int, search: Search
) -> None:
    assert find(filled, query, search=search)[0] == TIPS[number]


@pytest.mark.parametrize("search", [search_lexical, scan_lexical])
async def test_a_search_stays_within_its_namespace(filled: Database, search: Search) -> None:
    assert find(filled, "header row", namespace="other", search=search) == []
    assert find(filled, "", search=search) == []


async def test_other_namespaces_and_stop_words_find_nothing(filled: Database) -> None:
    assert find(filled, "header row", namespace="other") == []
    assert find(filled, "the of a with") == []


async def test_entries_that_are_not_recalled_are_not_found(
    store: MemoryStore, filled: Database
) -> None:
    for entry in await store.list(namespace="n"):
        await store.set_status(entry.id, "quarantined", reason="test")
    assert find(filled, "header row") == []


async def test_only_the_head_of_an_entry_is_found(
    store: MemoryStore, database: Database, provenance: Provenance
) -> None:
    first = await store.remember(Tip(text="Prefer walnuts."), namespace="n", provenance=provenance)
    assert first.entry is not None
    await store.revise(
        first.entry.id, Tip(text="Prefer almonds."), expected_version=1, provenance=provenance
    )
    assert find(database, "walnuts") == []
    await store.revert(first.entry.id, 1, expected_version=2, reason="test")
    assert find(database, "walnuts") == ["Prefer walnuts."]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    query=st.one_of(
        st.text(max_size=80), st.sampled_from(['"', "a AND", "NEAR(", "x*", "-b", "c:d", "'; DROP"])
    )
)
def test_any_text_is_a_safe_query(database: Database, query: str) -> None:
    assert find(database, query) == []


@given(content=st.text(max_size=60))
def test_query_words_are_unique_lower_case_and_without_syntax(content: str) -> None:
    found = query_words(content)
    assert len(found) == len(set(found))
    assert all(not set(word) & set("\"'*():^-_ ") for word in found)
    assert set(found) <= set(words(content))


def test_names_are_searchable_by_their_parts() -> None:
    assert searchable("call parseHTTPDate now") == "call parseHTTPDate now parse HTTP Date"
    assert words("read_csv parseDate") == ["read", "csv", "parse", "date"]


def test_the_scan_ranks_like_the_full_text_table() -> None:
    rows = [(str(number), text) for number, text in enumerate(TIPS)]
    assert bm25(["header", "tables"], rows)[0][0] == "0"
    assert bm25(["space", "shell"], rows)[0][0] == "1"
    assert bm25(["walnut"], rows) == []
    assert bm25(["walnut"], []) == []
