import os
import subprocess
import sys
from pathlib import Path

from app.liveness import Liveness

LIVE = """
import sys, time
from pathlib import Path
from app.liveness import Liveness
live = Liveness(Path(sys.argv[1]))
live.begin()
print(live.boot_id, flush=True)
time.sleep(600)
"""


def _dead(liveness: Liveness, boot_id: str) -> bool:
    with liveness.burying(boot_id) as dead:
        return dead


def test_a_killed_process_is_dead_the_moment_it_is_gone(tmp_path: Path) -> None:
    me = Liveness(tmp_path)
    me.begin()
    with subprocess.Popen(
        [sys.executable, "-c", LIVE, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ},
    ) as other:
        assert other.stdout is not None
        boot_id = other.stdout.readline().strip()
        assert me.others() == {boot_id}
        assert not _dead(me, boot_id)
        other.kill()
        other.wait(30)
        assert _dead(me, boot_id)
        assert me.others() == set()
    me.end()


def test_a_process_whose_lock_file_is_gone_counts_as_dead(tmp_path: Path) -> None:
    me = Liveness(tmp_path)
    me.begin()
    assert _dead(me, "nobody")
    assert me.others() == set()
    me.end()


def test_every_start_has_a_name_of_its_own_and_leaves_nothing_behind(tmp_path: Path) -> None:
    me = Liveness(tmp_path)
    names: set[str] = set()
    for _ in range(3):
        me.begin()
        names.add(me.boot_id)
        me.end()
        me.end()
    assert len(names) == 3
    assert list(tmp_path.iterdir()) == []


def test_two_sweepers_never_bury_the_same_process(tmp_path: Path) -> None:
    one, two = Liveness(tmp_path), Liveness(tmp_path)
    one.begin()
    two.begin()
    (tmp_path / "gone.alive").touch()
    with one.burying("gone") as first, two.burying("gone") as second:
        assert (first, second) == (True, False)
    one.end()
    two.end()


def test_a_living_process_whose_lock_file_was_removed_shows_itself_again(tmp_path: Path) -> None:
    me, other = Liveness(tmp_path), Liveness(tmp_path)
    me.begin()
    other.begin()
    for path in tmp_path.glob(f"{me.boot_id}*"):
        path.unlink()
    assert _dead(other, me.boot_id)
    assert me.others() == {other.boot_id}
    assert other.others() == {me.boot_id}
    assert not _dead(other, me.boot_id)
    other.end()
    me.end()
