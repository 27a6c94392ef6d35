import logging
import signal
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.serving import run_server
from tests.support.service import settings_for


def test_a_home_that_cannot_be_used_is_told_in_a_sentence_without_a_stack_trace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "strop.db").write_bytes(b"no database" * 1000)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SettingsError, match="cannot be opened"):
            run_server(settings_for(tmp_path, port=0))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []
