"""PostgreSQL under the portable statements: placeholders, values, errors, migrations."""

import socket
import sqlite3
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest

from appliance.errors import ConfigurationError, DatabaseTooNew, StorageUnavailable
from appliance.model import ACQUISITION_FIELDS
from appliance.storage.migrations import BASELINE, Migration, available
from appliance.storage.postgresql import partitions
from appliance.storage.postgresql.connection import storage_error, translated, work_connection
from appliance.storage.postgresql.migrate import migrate
from appliance.storage.postgresql.pool import Pool
from appliance.storage.sqlite.migrate import migrate as migrate_sqlite
from tests import postgresql as real
from tests.postgresql import Server

# Columns that this engine has beside those of the other.
MORE = {
    "alias": ("near",),
    "dictionary": ("digest",),
    "early_engagement": ("journal_id",),
    "event": ("visitor", *ACQUISITION_FIELDS),
    "rollup": ("snapshot",),
    "seen": ("visit_id", "time"),
    "visit": ("placed",),
}
# Columns that it has not: rollups are made of no chunks there.
FEWER = {"rollup": ("chunks", "newest_chunk")}
NEWEST = BASELINE + len(available(files("appliance.storage.postgresql") / "migrations"))
ONE = Migration(BASELINE + 1, "ALTER TABLE project ADD COLUMN colour TEXT; CREATE INDEX by_colour ON project (colour);")


@pytest.fixture
def url(postgresql: Server) -> str:
    return postgresql.new_database()


@pytest.fixture
async def pool(url: str) -> AsyncIterator[Pool]:
    migrate(url)
    opened = Pool(url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.mark.parametrize(
    ("portable", "psycopg_s"),
    [
        ("SELECT :a, :b_2, :a", "SELECT %(a)s, %(b_2)s, %(a)s"),
        ("SELECT ':a', ':b''s :c', \":d\"", "SELECT ':a', ':b''s :c', \":d\""),
        ("SELECT CAST(:a AS BIGINT) WHERE b LIKE 'x%'", "SELECT CAST(%(a)s AS BIGINT) WHERE b LIKE 'x%%'"),
        ("SELECT a::text % 2", "SELECT a::text %% 2"),
    ],
)
def test_parameters_are_written_as_psycopg_takes_them(portable: str, psycopg_s: str) -> None:
    assert translated(portable) == psycopg_s


async def test_values_come_back_as_from_sqlite(pool: Pool) -> None:
    wanted = {"text": "a'b\"c :x %s ä", "bytes": b"\0\xff", "none": None, "big": 1 << 62, "small": -1, "true": True}
    select = "SELECT :text, :bytes, CAST(:none AS TEXT), :big, :small, :true"
    assert await pool.read(select, wanted) == [("a'b\"c :x %s ä", b"\0\xff", None, 1 << 62, -1, 1)]
    ((total, kind),) = await pool.read(
        "SELECT sum(t.n), sum(t.n) % 2 FROM (SELECT CAST(:big AS BIGINT) AS n) t", wanted
    )
    assert (total, kind) == (1 << 62, 0)
    assert type(total) is int


async def test_statements_of_one_transaction_happen_together_or_not_at_all(pool: Pool) -> None:
    insert = "INSERT INTO meta (name, value) VALUES (:name, 'x') RETURNING name"
    assert await pool.write_all([(insert, {"name": "a"}), ("DELETE FROM salt", {})]) == [[("a",)], []]
    with pytest.raises(psycopg.errors.UniqueViolation):
        await pool.write_all([(insert, {"name": "b"}), (insert, {"name": "a"})])
    assert await pool.read("SELECT name FROM meta WHERE value = 'x'") == [("a",)]


async def test_a_long_result_is_of_one_snapshot(pool: Pool) -> None:
    names = "SELECT name FROM meta WHERE name LIKE 'n%' ORDER BY name"
    for number in range(5):
        await pool.write("INSERT INTO meta VALUES (:name, '')", {"name": f"n{number}"})
    batches = []
    async for rows in pool.stream(names, batch_rows=2):
        await pool.write("DELETE FROM meta WHERE name LIKE 'n%'")
        batches.append([name for (name,) in rows])
    assert batches == [["n0", "n1"], ["n2", "n3"], ["n4"]]
    assert await pool.read(names) == []


async def test_while_the_server_is_away_storage_is_unavailable_and_afterwards_it_is_not() -> None:
    if real.programs() is None:
        pytest.skip("PostgreSQL not installed")
    with real.server() as server:
        url = server.new_database()
        migrate(url)
        pool = Pool(url, wait_seconds=2)
        await pool.open()
        assert await pool.read("SELECT 1") == [(1,)]
        server.stop()
        for ask in (pool.read, pool.write):
            with pytest.raises(StorageUnavailable):
                await ask("SELECT 1")
        with pytest.raises(StorageUnavailable):
            _ = [rows async for rows in pool.stream("SELECT 1")]
        with pytest.raises(StorageUnavailable):
            migrate(url)
        server.start()
        assert await pool.read("SELECT 1") == [(1,)]
        await pool.close()


async def test_a_connection_that_was_cut_costs_one_failure_at_most(pool: Pool, url: str) -> None:
    await pool.read("SELECT 1")
    with psycopg.connect(url, autocommit=True) as other:
        select = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        other.execute(f"{select} AND datname = current_database()")
    assert await pool.read("SELECT 1") == [(1,)]


async def test_a_database_that_is_not_there_is_unavailable(postgresql: Server) -> None:
    pool = Pool(postgresql.url("nowhere"), wait_seconds=1)
    with pytest.raises(StorageUnavailable):
        await pool.open()


def test_a_server_notices_soon_that_a_client_is_gone() -> None:
    wanted = {"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3"}
    wanted |= {"tcp_user_timeout": "10000", "work_mem": "5MB", "jit": "on"}
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    with real.server(listen_addresses="127.0.0.1", port=f"{port}"):
        url = f"postgresql://appliance@127.0.0.1:{port}/postgres?options=-c%20work_mem%3D5MB"
        with work_connection(url, "-c jit=on") as connection:
            found = connection.execute("SELECT name, current_setting(name) FROM pg_settings").fetchall()
    assert wanted.items() <= dict(found).items()


@pytest.mark.parametrize(
    ("state", "passes"),
    [("53100", True), ("53200", True), ("53300", True), ("57P01", True), ("53400", False), ("23505", False)],
)
def test_what_may_pass_is_waited_for_and_a_limit_that_was_set_is_not(state: str, passes: bool) -> None:
    error = psycopg.errors.lookup(state)("so it is")
    assert isinstance(storage_error(error), StorageUnavailable) == passes
    assert passes or storage_error(error) is error


# ---------------------------------------------------------------- migrations


def version(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
    assert row is not None
    return int(row[0])


def columns(url: str) -> dict[str, list[str]]:
    select = (
        "SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables"
        " USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        " ORDER BY table_name, ordinal_position"
    )
    found: dict[str, list[str]] = {}
    with psycopg.connect(url) as connection:
        for table, column in connection.execute(select):
            found.setdefault(table, []).append(column)
    return found


def test_of_several_that_start_at_once_one_makes_the_schema(url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(migrate, [url] * 4)) == {NEWEST}
    assert version(url) == NEWEST


def test_a_timescaledb_that_is_too_old_is_refused_before_anything_is_made(
    timescaledb: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = timescaledb.new_database()
    monkeypatch.setattr(partitions, "OLDEST", (99, 1))
    with pytest.raises(ConfigurationError, match=r"TimescaleDB 2\.\d+\.\d+ is too old: 99\.1 or newer is needed"):
        migrate(url)
    assert not columns(url)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE EXTENSION timescaledb")
    with pytest.raises(ConfigurationError, match="is too old"):
        migrate(url)
    monkeypatch.undo()
    migrate(url)
    assert columns(url)


@pytest.mark.parametrize(
    ("version", "enough"), [("2.21.4", False), ("2.22.0", True), ("2.100.1-dev", True), ("10.0", True)]
)
def test_versions_are_numbers(version: str, enough: bool) -> None:
    with nullcontext() if enough else pytest.raises(ConfigurationError):
        partitions._check_version(version)


def test_tables_of_both_engines_have_the_same_columns(url: str, tmp_path: Path) -> None:
    migrate(url)
    migrate_sqlite(tmp_path / "a.db", tmp_path)
    with sqlite3.connect(tmp_path / "a.db") as connection:
        tables = columns(url)
        known = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert set(tables) - known == {"appliance", "claim", "notice", "purged_count", "touched"}
        for table in set(tables) & known:
            there = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            there = [name for name in there if name not in FEWER.get(table, ())]
            assert [name for name in tables[table] if name not in MORE.get(table, ())] == there, table


def test_an_older_schema_is_brought_up_once(url: str) -> None:
    migrate(url, [])
    for _ in range(2):
        assert migrate(url, [ONE]) == version(url) == BASELINE + 1
    assert "colour" in columns(url)["project"]


def test_a_migration_that_fails_leaves_nothing(url: str) -> None:
    migrate(url, [])
    with pytest.raises(ConfigurationError, match="division by zero"):
        migrate(url, [ONE, Migration(BASELINE + 2, "CREATE TABLE half (id BIGINT); SELECT 1 / 0;")])
    assert version(url) == BASELINE
    assert "half" not in columns(url)
    assert "colour" not in columns(url)["project"]


def test_a_newer_schema_and_a_changed_migration_are_refused(url: str) -> None:
    migrate(url, [ONE])
    with pytest.raises(DatabaseTooNew):
        migrate(url, [])
    with pytest.raises(StorageUnavailable, match="0002"):
        migrate(url, [ONE._replace(sql=ONE.sql + " -- changed")])


def test_a_url_that_is_none_is_refused_without_the_password() -> None:
    with pytest.raises(ConfigurationError) as refused:
        migrate("postgresql://ada:pa%ssword@127.0.0.1/db")
    assert str(refused.value) == "the URL of the database cannot be understood"
    assert refused.value.__suppress_context__, "what the driver said of it is in no traceback"


def test_who_may_not_make_tables_is_told_what_the_server_says(postgresql: Server, url: str) -> None:
    name = url.removeprefix("postgresql:///").partition("?")[0]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE nobody_{name} LOGIN")
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    with pytest.raises(ConfigurationError, match=r"^the database refuses: permission denied .*\(42501\)"):
        migrate(url.replace("user=appliance", f"user=nobody_{name}"))
