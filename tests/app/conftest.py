"""Fixtures of the service's tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from memory.database import Database, sqlite_engine
from tests.support.service import migrated


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, made once: copying it is quicker than migrating each time."""
    folder = tmp_path_factory.mktemp("template")
    migrated(folder).close()
    return folder / "strop.db"


@pytest.fixture
def database(template: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copyfile(template, tmp_path / "strop.db")
    opened = Database(sqlite_engine(tmp_path / "strop.db"))
    yield opened
    opened.close()


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    """A home whose database is there already."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copyfile(template, folder / "strop.db")
    return folder
