"""Fixtures of the service's tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from app.db.engine import open_database
from memory.database import Database
from tests.support.service import migrated

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, made once: copying it is quicker than migrating each time."""
    folder = tmp_path_factory.mktemp("template")
    migrated(folder).close()
    return folder / "strop.db"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, template: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated database, of each kind in turn."""
    if request.param == "sqlite":
        shutil.copyfile(template, tmp_path / "strop.db")
        yield f"sqlite:///{tmp_path}/strop.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.fresh() as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, Path("unused.db"))
    yield opened
    opened.close()


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    """A home whose database is there already."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copyfile(template, folder / "strop.db")
    return folder
