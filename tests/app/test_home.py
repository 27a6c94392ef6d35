from pathlib import Path

import pytest

from app.errors import SettingsError
from app.home import Home


def test_the_folders_are_made_for_their_user_only(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home")
    home.prepare()
    home.prepare()
    for folder in (home.path, home.workspaces, home.files, home.index, home.locks):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_home_that_is_a_file_is_refused_with_the_name_of_the_setting(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(SettingsError, match="STROP_HOME"):
        Home(tmp_path / "home").prepare()
