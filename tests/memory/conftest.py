from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.engine import make_url

from memory.database import Database, sqlite_engine
from memory.memory import Memory, build_memory
from memory.postgres import postgres_engine
from memory.recall import RecallSettings
from memory.records import Provenance
from memory.store import MemoryStore
from memory.tables import create_tables
from memory.uses import UseLog
from models.embedders.hashing import HashingEmbedder

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        database = Database(sqlite_engine(tmp_path / "strop.db"))
        database.run_sync(create_tables)
        yield database
        database.close()
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.fresh() as url:
        database = Database(postgres_engine(make_url(url)))
        yield database
        database.close()


@pytest.fixture
def embedder() -> HashingEmbedder:
    return HashingEmbedder()


@pytest.fixture
def store(database: Database, embedder: HashingEmbedder) -> MemoryStore:
    return MemoryStore(database, embedder)


@pytest.fixture
def log(database: Database) -> UseLog:
    return UseLog(database)


@pytest.fixture
async def memory(
    database: Database, embedder: HashingEmbedder, tmp_path: Path
) -> AsyncIterator[Memory]:
    memory = build_memory(
        database, embedder, folder=tmp_path, settings=RecallSettings(withhold=0.0)
    )
    yield memory
    await memory.close()


@pytest.fixture
def provenance() -> Provenance:
    return Provenance(task_id="t1", run_id="r1", steps=(1, 2), model="m", reason="it worked")
