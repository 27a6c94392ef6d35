"""A real PostgreSQL server for the tests: its own folder, its own port, gone afterwards."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from app.db.migrate import upgrade
from app.durable.store import TurnStore
from memory.database import Database
from memory.postgres import postgres_engine
from tests.support.ports import free_port

_OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "autovacuum": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "log_min_messages": "fatal",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
_START_S = 60.0
_MISSING = (
    "PostgreSQL's server programs were not found: `apt-get install postgresql` brings them, "
    "and `sh scripts/setup.sh --dev` does so on Debian as root"
)


class PostgresServer:
    """One server in a folder of its own."""

    def __init__(self, programs: Path, *, durable: bool = False) -> None:
        """Make a server and start it.

        Args:
            programs: the folder of PostgreSQL's programs.
            durable: whether commits reach the disk, as in earnest; tests are quicker without.
        """
        self._programs = programs
        self._options = {**_OPTIONS, **(_DURABLE if durable else {})}
        self._as = _other_user()
        self._folder = Path(tempfile.mkdtemp(prefix="strop-postgres-"))
        if self._as:
            os.chown(self._folder, pwd.getpwnam(self._as).pw_uid, -1)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self._call("initdb", "-D", str(self._data), "-U", "strop", "-A", "trust", "--no-sync")
        self.start()
        self._execute("CREATE DATABASE migrated")
        with self.opened("migrated") as database:
            turns = TurnStore(database)
            turns.prepare()
            turns.close()
            upgrade(database.engine)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def url(self, name: str) -> str:
        """Return the address of a database as a user gives it."""
        return f"postgresql+psycopg://strop:not-asked@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start and wait until it answers; a second start takes the same port."""
        self.port = self.port or free_port()
        options = [f"--{name}={value}" for name, value in self._options.items()]
        command = [str(self._programs / "postgres"), "-D", str(self._data), f"--port={self.port}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix(), *command, *options], cwd="/", stdout=log, stderr=log
            )
        limit = time.monotonic() + _START_S
        while True:
            try:
                self._execute("SELECT 1")
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > limit:
                    raise
                time.sleep(0.05)  # nothing tells when a server takes connections
            else:
                return

    def stop(self) -> None:
        """Stop at once; whoever is connected is cut off."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait(20)
            self._process = None

    def remove(self) -> None:
        """Stop and leave nothing behind."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def fresh(self) -> Generator[str]:
        """Give the URL of a migrated database that nobody else uses."""
        with self._created("migrated") as url:
            yield url

    @contextmanager
    def empty(self) -> Generator[str]:
        """Give the URL of a database in which there is nothing yet."""
        with self._created("template1") as url:
            yield url

    @contextmanager
    def _created(self, template: str) -> Generator[str]:
        name = f"test_{uuid.uuid4().hex[:12]}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            if self._process is not None:
                self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def opened(self, name: str) -> Generator[Database]:
        """Open a database that is there."""
        database = Database(postgres_engine(make_url(self.url(name))))
        try:
            yield database
        finally:
            database.close()

    def _execute(self, statement: str) -> None:
        plain = self.url("postgres").replace("+psycopg", "")
        with psycopg.connect(plain, autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement.encode())

    def _call(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._prefix(), str(self._programs / program), *arguments],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            msg = f"{program} failed: {done.stderr or done.stdout}"
            raise RuntimeError(msg)

    def _prefix(self) -> list[str]:
        """Return how to become another user, since PostgreSQL refuses to run as root."""
        death = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        if not self._as:
            return death
        return [*death, f"--reuid={self._as}", f"--regid={_group(self._as)}", "--clear-groups"]


def postgres_programs() -> Path:
    """Return the folder of the newest server's programs; without one the test is skipped aloud."""
    found = [Path(place).resolve().parent for place in [shutil.which("postgres")] if place]
    found += [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if found:
        return max(found, key=_version)
    if os.getuid() == 0 and Path("/etc/debian_version").exists():
        pytest.fail(_MISSING)
    pytest.skip(_MISSING)


def _version(folder: Path) -> int:
    number = re.search(r"/postgresql/(\d+)", str(folder))
    return int(number[1]) if number else 0


def _other_user() -> str:
    if os.getuid() != 0:
        return ""
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            pwd.getpwnam(name)
            return name
    pytest.skip("PostgreSQL refuses to run as root, and there is no user to become")


def _group(user: str) -> str:
    return str(pwd.getpwnam(user).pw_gid)
