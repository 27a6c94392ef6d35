"""Fixtures of the service's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from memory.database import Database
from tests.support.service import migrated


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = migrated(tmp_path)
    yield opened
    opened.close()
