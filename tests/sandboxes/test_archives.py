"""Archives of strangers, and archives of workspaces."""

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandboxes.base import SandboxError, WorkspacePathError
from sandboxes.files import Workspace
from sandboxes.running import Running
from sandboxes.swapping import remove_tree
from sandboxes.unpacking import UnpackLimits
from sandboxes.workspace_files import HostFiles
from tests.support.archives import member, tar_of, zip_of, zip_with_link

pytestmark = pytest.mark.anyio

TIGHT = UnpackLimits(total_bytes=3 << 20, entry_bytes=2 << 20, entries=20, ratio=100, depth=4)


@asynccontextmanager
async def files_of(root: Path) -> AsyncGenerator[HostFiles]:
    workspace, running = Workspace(root), Running()
    try:
        yield HostFiles(workspace, running)
    finally:
        await running.close()
        workspace.close()


@contextmanager
def ground() -> Generator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "outside").mkdir()
        (Path(folder) / "outside" / "victim").write_bytes(b"untouched")
        (Path(folder) / "ws").mkdir()
        yield Path(folder)


def tree(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything that a snapshot promises to keep."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        status, shown = path.lstat(), str(path.relative_to(root))
        kept = (stat.S_IMODE(status.st_mode), status.st_mtime_ns)
        if path.is_symlink():
            found[shown] = ("link", str(path.readlink()))
        elif path.is_dir():
            found[shown] = ("dir", *kept)
        elif path.is_file():
            found[shown] = ("file", *kept, path.read_bytes())
    return found


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def stays_in(path: Path, folder: Path) -> bool:
    seen = path.parent / path.readlink() if path.is_symlink() else path
    return Path(os.path.normpath(seen)).is_relative_to(folder)


async def unpacked(base: Path, archive: bytes, limits: UnpackLimits = TIGHT) -> int:
    (base / "archive").write_bytes(archive)
    async with files_of(base / "ws") as files:
        return await files.unpack(base / "archive", "in", limits)


def assert_nothing_happened(base: Path) -> None:
    assert (base / "outside" / "victim").read_bytes() == b"untouched"
    assert names_in(base) == ["archive", "outside", "ws"]
    assert sorted(path.name for path in (base / "outside").iterdir()) == ["victim"]
    assert list((base / "ws").iterdir()) == []


PLAIN = tar_of((member("a/b.txt"), b"hello"), (member("c"), b"x" * 3000))


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(PLAIN, id="tar"),
        pytest.param(gzip.compress(PLAIN), id="tar.gz"),
        pytest.param(bz2.compress(PLAIN), id="tar.bz2"),
        pytest.param(lzma.compress(PLAIN), id="tar.xz"),
        pytest.param(zip_of({"a/b.txt": b"hello", "c": b"x" * 3000}), id="zip"),
        pytest.param(zip_of({"a/b.txt": b"hello", "c": b"x" * 3000}, 0), id="stored zip"),
    ],
)
async def test_every_usual_kind_of_archive_is_taken(tmp_path: Path, archive: bytes) -> None:
    assert await unpacked(tmp_path, archive) == 2
    assert (tmp_path / "ws/in/a/b.txt").read_bytes() == b"hello"
    assert (tmp_path / "ws/in/c").read_bytes() == b"x" * 3000


ZEROS = bytes(8 << 20)
HOSTILE = {
    "an absolute name": tar_of((member("/etc/strop-exam"), b"x")),
    "a name with two dots": tar_of((member("a/../../outside/victim"), b"x")),
    "a zip entry with two dots": zip_of({"../outside/victim": b"x"}),
    "an absolute zip entry": zip_of({"/etc/strop-exam": b"x"}),
    "an absolute link": tar_of((member("l", tarfile.SYMTYPE, "/etc"), b"")),
    "a link upwards": tar_of((member("a/l", tarfile.SYMTYPE, "../../x"), b"")),
    "a link in a zip": zip_with_link("l", "../outside"),
    "a way through a link": tar_of(
        (member("d/x"), b""),
        (member("l", tarfile.SYMTYPE, "d"), b""),
        (member("l/in"), b"x"),
    ),
    "a hard link outside": tar_of((member("h", tarfile.LNKTYPE, "../outside/victim"), b"")),
    "a hard link to what is not there": tar_of((member("h", tarfile.LNKTYPE, "x"), b"")),
    "a hard link to a link": tar_of(
        (member("l", tarfile.SYMTYPE, "x"), b""), (member("h", tarfile.LNKTYPE, "l"), b"")
    ),
    "a device": tar_of((member("d", tarfile.BLKTYPE), b"")),
    "a pipe": tar_of((member("p", tarfile.FIFOTYPE), b"")),
    "a file that is a folder": tar_of((member("a/b"), b"x"), (member("a"), b"x")),
    "a folder that is a file": tar_of((member("a"), b"x"), (member("a/b"), b"x")),
    "too deep": tar_of((member("a/b/c/d/e/f"), b"x")),
    "too many": tar_of(*((member(f"f{n}"), b"") for n in range(21))),
    "too many folders nobody named": tar_of(*((member(f"d{n}/f"), b"") for n in range(11))),
    "too big in all": tar_of(*((member(f"f{n}"), os.urandom(1 << 20)) for n in range(4))),
    "one too big": tar_of((member("f"), os.urandom((2 << 20) + 1))),
    "a tar bomb": gzip.compress(tar_of((member("f"), ZEROS))),
    "a bzip2 bomb": bz2.compress(tar_of((member("f"), ZEROS))),
    "an xz bomb": lzma.compress(tar_of((member("f"), ZEROS))),
    "a zip bomb": zip_of({"f": ZEROS}),
    "a name too long": tar_of((member("n" * 300), b"x")),
    "an empty link": tar_of((member("l", tarfile.SYMTYPE, ""), b"")),
    "a header without end": gzip.compress(
        tar_of((member("x", tarfile.XHDTYPE), b"9" * 400_000), (member("f"), b"x"))
    ),
    "headers in headers": tar_of(*((member("x", tarfile.GNUTYPE_LONGNAME), b"n"),) * 2000),
    "half an archive": gzip.compress(PLAIN)[:-20],
    "an archive with a changed byte": gzip.compress(PLAIN)[:-8] + bytes(8),
    "something after its end": PLAIN + b"more",
    "no archive": b"just a text" * 100,
    "nothing": b"",
    "half a zip": zip_of({"f": b"x" * 999})[:-30],
    "a zip compressed in a rare way": zip_of({"f": b"x" * 999}, zipfile.ZIP_LZMA),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_archive_is_refused_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    with ground() as base:
        with pytest.raises(WorkspacePathError, match="the archive was refused"):
            await unpacked(base, HOSTILE[name])
        assert_nothing_happened(base)


async def test_a_bomb_stops_long_before_it_is_unpacked(tmp_path: Path) -> None:
    layers = gzip.compress(gzip.compress(bytes(8 << 20)))
    with ground() as base:
        assert await unpacked(base, zip_of({"bomb.gz": layers})) == 1
        packed = base / "ws" / "in" / "bomb.gz"
        assert packed.read_bytes() == layers, "what is packed inside stays packed"
    with ground() as base:
        bomb = gzip.compress(tar_of((member("f"), bytes(32 << 20))))
        with pytest.raises(WorkspacePathError, match="bigger than 2097152 bytes"):
            await unpacked(base, bomb)
        assert_nothing_happened(base)


names = st.sampled_from(["a", "b", "..", ".", "", "a/b", "/x", "a/../..", "é", "l", "l/x", "\n"])
kinds = st.sampled_from(
    [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]
)
targets = st.sampled_from(["a", "b", "..", "../outside", "/etc/passwd", "l", "", "../../x"])


@settings(max_examples=60)
@given(
    st.lists(st.tuples(names, kinds, targets, st.binary(max_size=9)), max_size=6),
    st.integers(0, 9),
    st.binary(max_size=4),
)
async def test_no_archive_writes_outside_or_halfway(
    members: list[tuple[str, bytes, str, bytes]], cut: int, noise: bytes
) -> None:
    infos = [
        (member(name, kind, link), data if kind == tarfile.REGTYPE else b"")
        for name, kind, link, data in members
    ]
    whole = tar_of(*infos)
    archive = whole[: 300 + cut * 100] + noise + whole[300 + cut * 100 + len(noise) :]
    with ground() as base:
        try:
            await unpacked(base, archive)
        except WorkspacePathError:
            assert_nothing_happened(base)
            return
        assert (base / "outside" / "victim").read_bytes() == b"untouched"
        assert [path.name for path in (base / "ws").iterdir()] == ["in"]
        for path in (base / "ws" / "in").rglob("*"):
            assert stays_in(path, base / "ws" / "in")


@settings(max_examples=60)
@given(
    st.lists(st.tuples(names, targets, st.booleans(), st.binary(max_size=9)), max_size=5),
    st.integers(0, 400),
    st.binary(max_size=4),
)
async def test_no_zip_writes_outside_or_halfway_either(
    members: list[tuple[str, str, bool, bytes]], at: int, noise: bytes
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, target, link, data in members:
            info = zipfile.ZipInfo(name or "empty")
            info.create_system = 3
            info.external_attr = ((stat.S_IFLNK if link else stat.S_IFREG) | 0o644) << 16
            with warnings.catch_warnings(action="ignore"):
                packed.writestr(info, target if link else data)
    whole = buffer.getvalue()
    with ground() as base:
        try:
            await unpacked(base, whole[:at] + noise + whole[at + len(noise) :])
        except WorkspacePathError:
            assert_nothing_happened(base)
            return
        assert (base / "outside" / "victim").read_bytes() == b"untouched"
        assert names_in(base / "ws") == ["in"]
        for path in (base / "ws" / "in").rglob("*"):
            assert stays_in(path, base / "ws" / "in")


async def test_unpacking_wants_a_new_folder(tmp_path: Path) -> None:
    (tmp_path / "ws" / "in").mkdir(parents=True)
    (tmp_path / "ws" / "in" / "here").touch()
    with pytest.raises(WorkspacePathError, match="new folder"):
        await unpacked(tmp_path, PLAIN)
    async with files_of(tmp_path / "ws") as files:
        with pytest.raises(WorkspacePathError, match="new folder"):
            await files.unpack(tmp_path / "archive", ".")
    assert [path.name for path in (tmp_path / "ws").rglob("*")] == ["in", "here"]


@dataclass(frozen=True)
class Thing:
    kind: str
    data: bytes
    mode: int
    mtime: float


LINKS = [b"a", b"../../nowhere", b"/nowhere/at/all", b"\xff", b"."]
part = st.sampled_from([b"a", b"b", b"\xff\xfe", b"new\nline", "é".encode(), b"x" * 120, b"-rf"])
things = st.dictionaries(
    st.lists(part, min_size=1, max_size=4).map(tuple),
    st.builds(
        Thing,
        st.sampled_from(["file", "dir", "link", "hard"]),
        st.binary(max_size=40),
        st.sampled_from([0o644, 0o755, 0o600, 0o700]),
        st.floats(0, 2e9).map(lambda when: round(when, 3)),
    ),
    max_size=8,
)


def plant(root: Path, found: dict[tuple[bytes, ...], Thing]) -> None:
    files: list[Path] = []
    for parts, thing in sorted(found.items(), key=lambda item: len(item[0])):
        path = root.joinpath(*map(os.fsdecode, parts))
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if thing.kind == "dir":
                path.mkdir()
            elif thing.kind == "link":
                path.symlink_to(os.fsdecode(LINKS[len(thing.data) % len(LINKS)]))
                continue
            elif thing.kind == "hard" and files:
                path.hardlink_to(files[0])
                continue
            else:
                with path.open("xb") as file:
                    file.write(thing.data)
                files.append(path)
            path.chmod(thing.mode)
            os.utime(path, (thing.mtime, thing.mtime))


@settings(max_examples=40)
@given(things, things)
async def test_what_was_snapshotted_comes_back_whatever_happened_since(
    first: dict[tuple[bytes, ...], Thing], second: dict[tuple[bytes, ...], Thing]
) -> None:
    with ground() as base:
        plant(base / "ws", first)
        before = tree(base / "ws")
        async with files_of(base / "ws") as files:
            assert await files.snapshot(base / "archive") == len(before)
            for path in (base / "ws").iterdir():
                if path.is_file() and not path.is_symlink():
                    path.unlink()
            plant(base / "ws", second)
            assert await files.restore(base / "archive") == len(before)
            assert tree(base / "ws") == before
        assert names_in(base) == ["archive", "outside", "ws"]


async def test_a_snapshot_keeps_hard_links_and_leaves_out_what_is_no_file(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    root.mkdir()
    (root / "a").write_bytes(b"x")
    os.link(root / "a", root / "b")
    os.mkfifo(root / "pipe")
    async with files_of(root) as files:
        assert await files.snapshot(tmp_path / "s") == 2
        await files.restore(tmp_path / "s")
    assert (root / "a").stat().st_ino == (root / "b").stat().st_ino
    assert not (root / "pipe").exists()


async def test_the_longest_paths_are_kept(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    deep = root.joinpath(*["x" * 38] * 95)
    folder = root
    for part in deep.relative_to(root).parts:
        folder /= part
        folder.mkdir(parents=True)
    (folder / "link").symlink_to("y" * 4000)
    before = tree(root)
    async with files_of(root) as files:
        assert await files.snapshot(tmp_path / "s") == 96
        await files.restore(tmp_path / "s")
    assert tree(root) == before


async def test_holes_stay_holes(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    root.mkdir()
    with (root / "sparse").open("wb") as file:
        file.truncate(16 << 20)
    async with files_of(root) as files:
        await files.snapshot(tmp_path / "s")
        await files.restore(tmp_path / "s")
    status = (root / "sparse").stat()
    assert status.st_size == 16 << 20
    assert status.st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("damage", ["half", "changed", "elsewhere", "missing"])
async def test_a_restore_that_fails_changes_nothing(tmp_path: Path, damage: str) -> None:
    root = tmp_path / "ws"
    root.mkdir()
    (root / "kept").write_bytes(os.urandom(5000))
    async with files_of(root) as files:
        await files.snapshot(tmp_path / "s")
        (root / "kept").write_bytes(b"newer")
        data = (tmp_path / "s").read_bytes()
        if damage == "half":
            data = data[: len(data) // 2]
        elif damage == "changed":
            data = data[:3000] + bytes([data[3000] ^ 1]) + data[3001:]
        elif damage == "elsewhere":
            data = tar_of((member("../kept"), b"x"))
        (tmp_path / "s").write_bytes(data)
        if damage == "missing":
            (tmp_path / "s").unlink()
        with pytest.raises((WorkspacePathError, FileNotFoundError)):
            await files.restore(tmp_path / "s")
    assert (root / "kept").read_bytes() == b"newer"
    assert set(names_in(tmp_path)) <= {"ws", "s"}


@pytest.mark.parametrize("reached", ["moving out", "moving in"])
async def test_a_swap_cut_off_by_a_crash_is_undone_or_completed(
    tmp_path: Path, reached: str
) -> None:
    root = tmp_path / "ws"
    (tmp_path / "swap.ws.old").mkdir()
    (tmp_path / "swap.ws.old" / "a").write_text("old")
    root.mkdir()
    if reached == "moving out":
        (root / "b").write_text("old")
    else:
        (tmp_path / "swap.ws.new").mkdir()
        (tmp_path / "swap.ws.new" / "a").write_text("new")
        (root / "b").write_text("new")
    Workspace(root).close()
    expected = "old" if reached == "moving out" else "new"
    assert {path.name: path.read_text() for path in root.iterdir()} == {
        "a": expected,
        "b": expected,
    }
    assert names_in(tmp_path) == ["ws"]


async def test_a_restore_clears_away_a_tree_of_any_depth(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    root.mkdir()
    async with files_of(root) as files:
        await files.snapshot(tmp_path / "s")
        folder = os.open(root, os.O_RDONLY)
        for _ in range(1100):
            os.mkdir("d", 0o700, dir_fd=folder)
            below = os.open("d", os.O_RDONLY, dir_fd=folder)
            os.close(folder)
            folder = below
        os.close(folder)
        try:
            with pytest.raises(WorkspacePathError, match="at most 100 folders"):
                await files.snapshot(tmp_path / "again")
            assert await files.restore(tmp_path / "s") == 0
        finally:
            remove_tree(root / "d")
    assert names_in(tmp_path) == ["s", "ws"]
    assert list(root.iterdir()) == []


async def test_a_file_goes_in_and_out_in_pieces(tmp_path: Path) -> None:
    data = os.urandom(3_000_001)
    (tmp_path / "in").write_bytes(data)
    async with files_of(tmp_path / "ws") as files:
        assert await files.upload(tmp_path / "in", "a/b") == len(data)
        assert await files.download("a/b", tmp_path / "out") == len(data)
        assert (tmp_path / "out").read_bytes() == data
        with pytest.raises(WorkspacePathError, match="at most 3000000 bytes"):
            await files.download("a/b", tmp_path / "out", max_bytes=3_000_000)
        assert (tmp_path / "out").read_bytes() == data, "a download that fails replaces nothing"
        with pytest.raises(FileNotFoundError):
            await files.upload(tmp_path / "nowhere", "c")
        with pytest.raises(FileNotFoundError):
            await files.download("a/b", tmp_path / "nowhere" / "out")
    assert names_in(tmp_path) == ["in", "out", "ws"]


async def test_neither_way_follows_a_link_or_waits_for_a_pipe(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    root.mkdir()
    (tmp_path / "victim").write_bytes(b"untouched")
    (root / "link").symlink_to(tmp_path / "victim")
    os.mkfifo(root / "pipe")
    async with files_of(root) as files:
        for path in ("link", "pipe", ".", "../victim", "missing"):
            with pytest.raises(WorkspacePathError):
                await files.download(path, tmp_path / "out")
        for path in ("link", "pipe", ".", "../victim"):
            with pytest.raises(WorkspacePathError):
                await files.upload(tmp_path / "victim", path)
    assert (tmp_path / "victim").read_bytes() == b"untouched"
    assert not (tmp_path / "out").exists()


async def test_who_stops_waiting_stops_the_work(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    root.mkdir()
    with (root / "big").open("wb") as file:
        file.truncate(4 << 30)
    async with files_of(root) as files:
        with anyio.move_on_after(0.05) as scope:
            await files.snapshot(tmp_path / "s")
        assert scope.cancelled_caught
    assert names_in(tmp_path) == ["ws"]


async def test_a_workspace_that_is_too_big_is_not_packed(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    root.mkdir()
    with (root / "big").open("wb") as file:
        file.truncate(9 << 30)
    async with files_of(root) as files:
        with pytest.raises(SandboxError, match="remove some files"):
            await files.snapshot(tmp_path / "s")
    assert names_in(tmp_path) == ["ws"]
