"""A new file gets the whole schema; an older one gets there by numbered steps; a newer one is left alone."""

import sqlite3
import threading
from pathlib import Path

import pytest

from appliance.errors import DatabaseTooNew, StorageUnavailable
from appliance.storage.migrations import BASELINE, Migration
from appliance.storage.sqlite.migrate import migrate

ONE = Migration(BASELINE + 1, "ALTER TABLE project ADD COLUMN colour TEXT; CREATE INDEX by_colour ON project (colour);")
TWO = Migration(BASELINE + 2, "-- why\nUPDATE project SET colour = 'red';\n")


def columns(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        return {row[1] for row in connection.execute("PRAGMA table_info(project)")}


def version(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def old_database(path: Path) -> None:
    migrate(path, path.parent / "backups", [])
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO project (public_id, name, created_at, updated_at) VALUES ('p', 'Kept', 1, 1)")


def test_a_new_file_has_the_version_of_this_release(tmp_path: Path) -> None:
    assert migrate(tmp_path / "a.db", tmp_path) == BASELINE == version(tmp_path / "a.db")


def test_what_visitors_did_is_for_the_owners_eyes(tmp_path: Path) -> None:
    migrate(tmp_path / "a.db", tmp_path)
    assert {file.stat().st_mode & 0o077 for file in tmp_path.glob("a.db*") if file.suffix != ".migrating"} == {0}


def test_an_older_file_is_brought_up_and_backed_up_before(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    old_database(path)
    assert migrate(path, tmp_path / "backups", [ONE, TWO]) == BASELINE + 2
    assert "colour" in columns(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name, colour FROM project").fetchall() == [("Kept", "red")]
    (backup,) = (tmp_path / "backups").iterdir()
    assert "colour" not in columns(backup)
    assert version(backup) == BASELINE
    assert {file.stat().st_mode & 0o077 for file in (backup, backup.parent)} == {0}


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    old_database(path)
    for _ in range(2):
        migrate(path, tmp_path / "backups", [ONE])
    assert len(list((tmp_path / "backups").iterdir())) == 1


def test_a_failing_step_leaves_the_file_at_the_step_before(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    old_database(path)
    broken = Migration(BASELINE + 2, "UPDATE project SET colour = 'red'; UPDATE nowhere SET x = 1;")
    with pytest.raises(sqlite3.OperationalError):
        migrate(path, tmp_path / "backups", [ONE, broken])
    assert version(path) == BASELINE + 1
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT colour FROM project").fetchall() == [(None,)]


def test_a_newer_file_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    old_database(path)
    migrate(path, tmp_path / "backups", [ONE, TWO])
    with pytest.raises(DatabaseTooNew, match="newer one"):
        migrate(path, tmp_path / "backups", [ONE])
    assert version(path) == BASELINE + 2


def test_a_migration_that_was_changed_after_it_was_applied_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    old_database(path)
    migrate(path, tmp_path / "backups", [ONE])
    with pytest.raises(StorageUnavailable, match="0002"):
        migrate(path, tmp_path / "backups", [ONE._replace(sql=ONE.sql + "-- changed")])


def test_two_processes_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    old_database(path)
    faults: list[Exception] = []

    def start() -> None:
        try:
            migrate(path, tmp_path / "backups", [ONE, TWO])
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert version(path) == BASELINE + 2


def test_a_file_that_is_no_database_is_an_error_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"this is no database, but somebody's notes" * 50)
    with pytest.raises(sqlite3.DatabaseError):
        migrate(path, tmp_path / "backups")
    assert path.read_bytes().startswith(b"this is no database")
