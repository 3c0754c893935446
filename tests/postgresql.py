"""A real PostgreSQL for tests: Debian's server on a socket in a folder of its own, as long as the tests run."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

_SETTINGS = {
    "fsync": "off",  # what is tested is not the disk
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "jit": "off",
}


def programs() -> Path | None:
    """Folder of the newest server's programs, None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    named = shutil.which("initdb")
    return found[-1].parent if found else Path(named).parent if named else None


def has_timescaledb() -> bool:
    """Whether the newest server can load TimescaleDB."""
    found = programs()
    return found is not None and bool(list((found.parent / "lib").glob("timescaledb.so")))


class Server:
    """A server in a folder, which has TimescaleDB loaded or not."""

    def __init__(
        self, programs: Path, folder: Path, user: str | None, *, timescaledb: bool, settings: Mapping[str, str]
    ) -> None:
        self._programs = programs
        self._folder = folder
        self._user = user
        self._numbers = count(1)
        self._settings = {**_SETTINGS, **settings}
        if timescaledb:
            self._settings |= {"shared_preload_libraries": "timescaledb", "timescaledb.telemetry_level": "off"}
        data = ["-U", "appliance", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        self._run("initdb", "-D", folder / "data", *data)
        self.start()

    def start(self) -> None:
        """Start it and wait until it is ready."""
        options = " ".join(f"-c {name}={value}" for name, value in self._settings.items())
        self._pg_ctl("start", "-l", self._folder / "log", "-o", f"-k {self._folder} -c listen_addresses='' {options}")

    def stop(self, *, for_good: bool = False) -> None:
        """Stop it; whoever is connected is cut off. `for_good`: nothing is put in order for another start."""
        self._pg_ctl("stop", "-m", "immediate" if for_good else "fast")

    def url(self, database: str) -> str:
        return f"postgresql:///{database}?host={self._folder}&user=appliance"

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def _pg_ctl(self, *arguments: str | Path) -> None:
        self._run("pg_ctl", "-D", self._folder / "data", "-w", "-t", "60", *arguments)

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [self._programs / program, *arguments]
        subprocess.run(command, check=True, user=self._user, cwd=self._folder, stdout=subprocess.DEVNULL)


@contextmanager
def server(*, timescaledb: bool = False, **settings: str) -> Iterator[Server]:
    """Start a server, with these settings beside those for tests, and stop it at the end.

    There has to be one (`programs`, `has_timescaledb`).
    """
    found = programs()
    assert found is not None
    # A socket's path may have a hundred characters, which pytest's folders nearly have.
    folder = Path(tempfile.mkdtemp(prefix="appliance-pg-"))
    user = None
    if os.geteuid() == 0:  # which PostgreSQL refuses to run as
        user = "postgres"
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    try:
        started = Server(found, folder, user, timescaledb=timescaledb, settings=settings)
        try:
            yield started
        finally:
            started.stop(for_good=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
