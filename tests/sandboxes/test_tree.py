import os
import subprocess
import sys

from sandboxes.tree import descendants, kill_all, tree_memory

ONE = "print(1, flush=True); input()"
TWO = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ONE!r}])"


def test_a_tree_is_seen_measured_and_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TWO], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        tree = descendants(process.pid)
        assert tree[0] == process.pid
        assert len(tree) == 2
        assert tree_memory(process.pid) > 1 << 20
        assert kill_all(tree) == 2


def test_a_process_that_is_gone_has_no_tree() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    assert descendants(process.pid) == []
    assert kill_all([process.pid]) == 0
    assert os.getpid() in descendants(os.getpid())
