import os
import stat
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.base import WorkspacePathError
from sandboxes.beneath import DIRECTORY, open_beneath, open_by_parts
from sandboxes.files import MAX_DEPTH, Workspace, relative_path

SECRET = b"never to be read"

parts = st.sampled_from(
    ["..", ".", "", "a", "link", "folder", "inner", "pipe", "outside", "secret", "work", "ws", "é"]
)
paths = st.one_of(
    st.text(max_size=40),
    st.lists(parts, max_size=8).map("/".join),
    st.lists(parts, max_size=8).map(lambda found: "/" + "/".join(found)),
    st.lists(parts, max_size=6).map(lambda found: "/work/" + "/".join(found)),
)


@contextmanager
def hostile_workspace() -> Generator[tuple[Workspace, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        outside = base / "outside"
        outside.mkdir()
        (outside / "secret").write_bytes(SECRET)
        root = base / "ws"
        (root / "a").mkdir(parents=True)
        (root / "link").symlink_to(outside / "secret")
        (root / "folder").symlink_to("../outside")
        (root / "inner").symlink_to("a")
        os.mkfifo(root / "pipe")
        workspace = Workspace(root)
        try:
            yield workspace, base
        finally:
            workspace.close()


def everything_but_the_workspace(base: Path) -> dict[str, bytes]:
    found = {str(path): path.read_bytes() for path in (base / "outside").iterdir()}
    return found | {str(path): b"" for path in base.iterdir()}


@given(paths, st.binary(max_size=20))
def test_no_path_reaches_anything_outside(path: str, data: bytes) -> None:
    with hostile_workspace() as (workspace, base):
        before = everything_but_the_workspace(base)
        with suppress(WorkspacePathError):
            assert workspace.read(path, offset=0, max_bytes=100) != SECRET
        with suppress(WorkspacePathError):
            assert not any("secret" in info.path for info in workspace.list(path, max_entries=99))
        with suppress(WorkspacePathError):
            workspace.write(path, data)
            assert workspace.read(path, offset=0, max_bytes=100) == data
        assert everything_but_the_workspace(base) == before


@given(paths)
def test_without_help_of_the_kernel_no_path_leads_out_either(path: str) -> None:
    with hostile_workspace() as (_, base):
        root = os.open(base / "ws", DIRECTORY)
        try:
            with suppress(OSError, ValueError):
                descriptor = open_by_parts(root, path, os.O_RDONLY | os.O_NONBLOCK)
                seen = Path(f"/proc/self/fd/{descriptor}").readlink()
                os.close(descriptor)
                assert seen.is_relative_to(base / "ws")
        finally:
            os.close(root)


@given(paths)
def test_a_clean_path_is_relative_and_stays_clean(path: str) -> None:
    try:
        clean = relative_path(path)
    except WorkspacePathError:
        return
    assert not clean.startswith("/")
    assert ".." not in clean.split("/")
    assert relative_path(clean) == clean


def test_the_mount_point_and_the_bare_path_name_the_same_file(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.write("/work/a/b.txt", b"x")
    assert workspace.read("a/b.txt", offset=0, max_bytes=9) == b"x"
    workspace.close()


@pytest.mark.parametrize("opener", [open_beneath, open_by_parts])
def test_a_file_below_is_opened(tmp_path: Path, opener: Callable[[int, str, int], int]) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").write_bytes(b"here")
    root = os.open(tmp_path, DIRECTORY)
    descriptor = opener(root, "a/f", os.O_RDONLY)
    assert os.read(descriptor, 9) == b"here"
    os.close(descriptor)
    os.close(root)


def test_reading_goes_on_where_it_is_told(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.write("f", b"0123456789")
    assert workspace.read("f", offset=4, max_bytes=3) == b"456"
    assert workspace.read("f", offset=1 << 70, max_bytes=3) == b""
    with pytest.raises(ValueError, match="0 or more"):
        workspace.read("f", offset=-1, max_bytes=3)
    workspace.close()


def test_writing_shortens_and_keeps_the_mode(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.write("f", b"long content")
    (tmp_path / "f").chmod(0o755)
    workspace.write("f", b"short")
    assert (tmp_path / "f").read_bytes() == b"short"
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o755
    workspace.close()


def test_a_harmless_link_inside_is_followed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.write("a/f", b"x")
    (tmp_path / "inner").symlink_to("a")
    assert workspace.read("inner/f", offset=0, max_bytes=9) == b"x"
    workspace.close()


def test_a_name_that_is_not_utf8_is_listed(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))).touch()
    workspace = Workspace(tmp_path)
    assert [info.path for info in workspace.list(".", max_entries=9)] == ["�"]
    workspace.close()


def test_a_list_stops_at_its_limit(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}").touch()
    workspace = Workspace(tmp_path)
    found = workspace.list(".", max_entries=5)
    assert [info.path for info in found] == ["00", "01", "02", "03", "04"]
    workspace.close()


def test_a_maze_of_folders_ends_and_counts_as_full(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(MAX_DEPTH + 20):
        deep /= "d"
    deep.mkdir(parents=True)
    workspace = Workspace(tmp_path)
    assert workspace.usage() > 1 << 60
    assert len(workspace.list(".", max_entries=10_000)) == MAX_DEPTH + 1
    workspace.close()


def test_usage_is_what_the_disk_holds(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.write("a/f", b"x" * 100_000)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    assert 100_000 <= workspace.usage() < 1 << 20
    workspace.close()


@pytest.mark.parametrize("path", ["\0", "a\0b", "\ud800", "../x", "/etc/passwd", "a/../../x"])
def test_a_path_that_cannot_be_in_the_workspace_is_refused(path: str) -> None:
    with pytest.raises(WorkspacePathError, match="expected a path in the workspace"):
        relative_path(path)
