import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app.errors import SettingsError
from app.liveness_postgres import PostgresLiveness
from tests.support.postgres import PostgresServer
from tests.support.waiting import eventually

LIVE = """
import sys, time
from app.liveness_postgres import PostgresLiveness
live = PostgresLiveness(sys.argv[1], lambda: None)
live.begin()
print(live.boot_id, flush=True)
time.sleep(600)
"""


def _never() -> None:
    raise AssertionError("a living process was taken for dead")


@pytest.fixture
def dsn(postgres: PostgresServer) -> Iterator[str]:
    with postgres.fresh() as url:
        yield url.replace("+psycopg", "")


@pytest.fixture
def me(dsn: str) -> Iterator[PostgresLiveness]:
    liveness = PostgresLiveness(dsn, _never, check_s=0.02, grace_s=0)
    liveness.begin()
    yield liveness
    liveness.end()


def _dead(liveness: PostgresLiveness, boot_id: str) -> bool:
    with liveness.burying(boot_id) as dead:
        return dead


def test_a_killed_process_is_dead_the_moment_it_is_gone(me: PostgresLiveness, dsn: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LIVE, dsn],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as other:
        assert other.stdout is not None
        boot_id = other.stdout.readline().strip()
        assert me.others() == {boot_id}
        assert not _dead(me, boot_id)
        other.kill()
        other.wait(30)
        eventually(lambda: _dead(me, boot_id), limit_s=5)
        assert me.others() == set()


def test_a_process_that_nobody_knows_counts_as_dead(me: PostgresLiveness) -> None:
    assert _dead(me, "nobody")


def test_a_process_does_not_bury_itself(me: PostgresLiveness) -> None:
    assert not _dead(me, me.boot_id)


def test_every_start_has_a_name_of_its_own_and_leaves_nothing_behind(dsn: str) -> None:
    liveness = PostgresLiveness(dsn, _never, grace_s=0)
    names: set[str] = set()
    for _ in range(3):
        liveness.begin()
        names.add(liveness.boot_id)
        liveness.end()
        liveness.end()
    assert len(names) == 3
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT * FROM workers").fetchall() == []


def test_two_sweepers_never_bury_the_same_process(me: PostgresLiveness, dsn: str) -> None:
    other = PostgresLiveness(dsn, _never, grace_s=0)
    other.begin()
    with me.burying("gone") as first, other.burying("gone") as second:
        assert (first, second) == (True, False)
    with other.burying("gone") as dead:
        assert dead
    other.end()


def test_a_sweeper_that_fails_leaves_the_dead_to_others(me: PostgresLiveness, dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO workers VALUES ('gone', 'host', 1, '', 0, now())"  # as a killed one leaves
        )
    with pytest.raises(ZeroDivisionError), me.burying("gone"):
        raise ZeroDivisionError
    assert me.others() == {"gone"}
    assert _dead(me, "gone")
    assert me.others() == set()


def _cut(dsn: str) -> None:
    """End every lock's connection, as a broken network would."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'strop liveness'"
        )


def test_a_cut_connection_is_opened_again_and_the_process_goes_on(
    me: PostgresLiveness, dsn: str
) -> None:
    other = PostgresLiveness(dsn, _never, check_s=0.02, grace_s=0)
    other.begin()
    boot_id = other.boot_id
    _cut(dsn)
    eventually(lambda: boot_id in me.others() and me.boot_id in other.others(), limit_s=10)
    assert not _dead(me, boot_id)
    assert not _dead(other, me.boot_id)
    other.end()


def test_whoever_was_buried_meanwhile_is_told_to_stop(me: PostgresLiveness, dsn: str) -> None:
    lost = threading.Event()
    other = PostgresLiveness(dsn, lost.set, check_s=0.5, grace_s=0)
    other.begin()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM workers WHERE id = %s", (other.boot_id,))
        connection.execute(
            "SELECT pg_terminate_backend(l.pid, 5000) FROM pg_locks l JOIN pg_stat_activity a "
            "ON a.pid = l.pid WHERE l.locktype = 'advisory' AND a.application_name = "
            "'strop liveness' AND l.objid = (hashtextextended(%s, 0) & 4294967295)::bigint::oid",
            (f"strop alive {other.boot_id}",),
        )
    assert lost.wait(20)
    other.end()


def test_after_the_server_started_nobody_is_buried_for_a_while(dsn: str) -> None:
    patient = PostgresLiveness(dsn, _never, grace_s=3600)
    patient.begin()
    assert not _dead(patient, "nobody")
    patient.end()


def test_a_server_that_does_not_answer_is_told_without_its_password() -> None:
    liveness = PostgresLiveness("postgresql://me:secret@127.0.0.1:1/db", _never)
    with pytest.raises(SettingsError, match="STROP_DATABASE_URL") as caught:
        liveness.begin()
    assert "secret" not in str(caught.value)
