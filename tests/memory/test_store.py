import asyncio
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from sqlalchemy import Table, func, select

from memory.base import EntryNotFoundError, MemoryStoreError, StaleVersionError
from memory.database import Database
from memory.records import (
    ArgumentConst,
    ArgumentRef,
    Provenance,
    Scope,
    Shortcut,
    ShortcutArgument,
    ShortcutStep,
    Tip,
)
from memory.store import MemoryStore
from memory.tables import audit, embeddings, evidence, outbox
from models.embedders.hashing import HashingEmbedder

pytestmark = pytest.mark.anyio


def shortcut(name: str = "count_rows", argument: str = "path", tool: str = "run_shell") -> Shortcut:
    return Shortcut(
        name=name,
        description="Count the rows of a table in a file.",
        arguments=(ShortcutArgument(name=argument),),
        steps=(
            ShortcutStep(
                tool=tool,
                arguments={"path": ArgumentRef(ref=argument), "flag": ArgumentConst(const=1)},
            ),
        ),
    )


class BrokenEmbedder(HashingEmbedder):
    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        raise ConnectionError(texts)


def count(database: Database, table: Table) -> int:
    chosen = select(func.count()).select_from(table)
    return database.run_sync(lambda connection: connection.execute(chosen).scalar_one())


async def test_an_entry_comes_back_as_it_was_written(
    store: MemoryStore, database: Database, provenance: Provenance
) -> None:
    tip = Tip(text="Read the header row first.", scope=Scope(level="file", key="*.csv"))
    remembered = await store.remember(tip, namespace="n", provenance=provenance)
    assert remembered.outcome == "new"
    assert remembered.entry is not None
    assert await store.get(remembered.entry.id) == remembered.entry
    assert remembered.entry.body == tip
    assert remembered.entry.status == "trial"
    assert remembered.entry.provenance == provenance
    assert [count(database, table) for table in (evidence, embeddings, outbox, audit)] == [1] * 4


async def test_the_same_text_in_another_form_is_merged_and_kept_as_evidence(
    store: MemoryStore, database: Database, provenance: Provenance
) -> None:
    first = await store.remember(
        Tip(text="Read the header row first."), namespace="n", provenance=provenance
    )
    again = provenance.model_copy(update={"run_id": "r2"})
    second = await store.remember(
        Tip(text="  read the HEADER\nrow first."), namespace="n", provenance=again
    )
    assert second.outcome == "merged"
    assert second.entry == first.entry
    assert count(database, evidence) == 2
    third = await store.remember(
        Tip(text="  read the HEADER\nrow first."), namespace="n", provenance=again
    )
    assert third.outcome == "merged"
    assert count(database, evidence) == 2, "a recovered run is no second witness"


async def test_a_near_text_is_merged_unless_a_number_or_a_negation_differs(
    store: MemoryStore, provenance: Provenance
) -> None:
    long = "when the table in the file is large read the rows in chunks of size and write each part"

    async def outcome(text: str, **scope: str) -> str:
        tip = Tip.model_validate({"text": text, "scope": scope})
        return (await store.remember(tip, namespace="n", provenance=provenance)).outcome

    assert await outcome(f"{long} 500") == "new"
    assert await outcome(f"{long} soon 500") == "merged"
    assert await outcome(f"{long} 900") == "new"
    assert await outcome(f"never {long} 500") == "new"
    assert await outcome(f"{long} 500", level="tool", key="run_shell") == "new"


async def test_opposite_advice_is_kept_side_by_side(
    store: MemoryStore, provenance: Provenance
) -> None:
    for polarity in ("do", "avoid"):
        tip = Tip.model_validate({"text": "Sort before merging.", "polarity": polarity})
        assert (await store.remember(tip, namespace="n", provenance=provenance)).outcome == "new"


async def test_namespaces_do_not_see_each_other(store: MemoryStore, provenance: Provenance) -> None:
    tip = Tip(text="Read the header row first.")
    for namespace in ("a", "b"):
        assert (
            await store.remember(tip, namespace=namespace, provenance=provenance)
        ).outcome == "new"
    assert len(await store.list(namespace="a")) == 1


async def test_a_shortcut_with_the_same_steps_is_the_same(
    store: MemoryStore, provenance: Provenance
) -> None:
    async def remember(body: Shortcut) -> str:
        return (await store.remember(body, namespace="n", provenance=provenance)).outcome

    assert await remember(shortcut()) == "new"
    assert await remember(shortcut(name="row_count", argument="file")) == "merged"
    refused = await store.remember(shortcut(tool="sql"), namespace="n", provenance=provenance)
    assert refused.outcome == "refused"
    assert refused.reason.startswith("name_taken")


async def test_writers_at_the_same_time_make_one_entry(
    store: MemoryStore, provenance: Provenance
) -> None:
    tip = Tip(text="Close the file after writing.")
    results = await asyncio.gather(
        *(
            store.remember(
                tip,
                namespace="n",
                provenance=provenance.model_copy(update={"run_id": f"r{number}"}),
            )
            for number in range(8)
        )
    )
    assert sorted(result.outcome for result in results) == ["merged"] * 7 + ["new"]


async def test_a_failing_embedder_costs_the_vector_not_the_entry(
    database: Database, provenance: Provenance
) -> None:
    store = MemoryStore(database, BrokenEmbedder())
    remembered = await store.remember(
        Tip(text="Read the header row first."), namespace="n", provenance=provenance
    )
    assert remembered.outcome == "new"
    vectors = database.run_sync(lambda c: c.execute(select(embeddings.c.vector)).scalars().all())
    assert vectors == [None]


async def test_a_revision_needs_the_version_it_was_made_from(
    store: MemoryStore, provenance: Provenance
) -> None:
    first = await store.remember(Tip(text="Use tabs here."), namespace="n", provenance=provenance)
    assert first.entry is not None
    second = await store.revise(
        first.entry.id, Tip(text="Use spaces here."), expected_version=1, provenance=provenance
    )
    assert (second.version, second.parent_version) == (2, 1)
    with pytest.raises(StaleVersionError, match="at version 1"):
        await store.revise(
            first.entry.id, Tip(text="Use both here."), expected_version=1, provenance=provenance
        )
    assert [entry.version for entry in await store.history(first.entry.id)] == [1, 2]


async def test_undo_brings_back_the_earlier_version_byte_for_byte(
    store: MemoryStore, provenance: Provenance
) -> None:
    first = await store.remember(Tip(text="Use tabs here."), namespace="n", provenance=provenance)
    assert first.entry is not None
    entry_id = first.entry.id
    await store.revise(
        entry_id, Tip(text="Use spaces here."), expected_version=1, provenance=provenance
    )
    undone = await store.revert(entry_id, 1, expected_version=2, reason="worse")
    assert undone == first.entry
    third = await store.revise(
        entry_id, Tip(text="Use both here."), expected_version=1, provenance=provenance
    )
    assert (third.version, third.parent_version) == (3, 1)
    with pytest.raises(EntryNotFoundError, match="has no version 9"):
        await store.revert(entry_id, 9, expected_version=3, reason="")


async def test_two_entries_never_come_to_say_the_same(
    store: MemoryStore, provenance: Provenance
) -> None:
    await store.remember(Tip(text="Use tabs here."), namespace="n", provenance=provenance)
    other = await store.remember(Tip(text="Sort the rows."), namespace="n", provenance=provenance)
    assert other.entry is not None
    with pytest.raises(MemoryStoreError, match="already says this"):
        await store.revise(
            other.entry.id, Tip(text="Use tabs here."), expected_version=1, provenance=provenance
        )
    with pytest.raises(MemoryStoreError, match="expected a tip"):
        await store.revise(other.entry.id, shortcut(), expected_version=1, provenance=provenance)


async def test_a_change_of_status_is_on_record(
    store: MemoryStore, database: Database, provenance: Provenance
) -> None:
    first = await store.remember(Tip(text="Use tabs here."), namespace="n", provenance=provenance)
    assert first.entry is not None
    entry = await store.set_status(first.entry.id, "quarantined", reason="harms", actor="rule")
    assert (entry.status, entry.status_reason) == ("quarantined", "harms")
    lines = database.run_sync(
        lambda c: c.execute(
            select(audit.c.actor, audit.c.action, audit.c.before, audit.c.after)
        ).all()
    )
    assert tuple(lines[-1]) == ("rule", "status", "trial", "quarantined")
    with pytest.raises(EntryNotFoundError, match="no entry 'nobody'"):
        await store.set_status("nobody", "active", reason="")


async def test_a_list_is_read_page_by_page_newest_first(
    store: MemoryStore, provenance: Provenance
) -> None:
    for word in ("alpha", "bravo", "charlie", "delta", "echo"):
        await store.remember(Tip(text=f"Say {word}."), namespace="n", provenance=provenance)
    first = await store.list(namespace="n", limit=3)
    rest = await store.list(namespace="n", limit=3, after=first[-1].id)
    texts = [entry.text for entry in [*first, *rest]]
    assert sorted(texts) == sorted(set(texts))
    assert len(texts) == 5
    assert await store.list(namespace="n", kind="shortcut") == []
    assert await store.list(namespace="n", statuses=["retired"]) == []
