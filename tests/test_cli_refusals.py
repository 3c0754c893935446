"""What cannot be done is said in a line, by the process as people start it."""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import psycopg
import pytest

from appliance.storage.postgresql.removal.steps import _REMOVING
from tests.postgresql import Server


def said(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "appliance", "--data-dir", str(folder), *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("APPLIANCE_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**clean, **environment})
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", ["serve", "drain", "status", "migrate"])
def test_a_data_folder_that_is_a_file(tmp_path: Path, command: str) -> None:
    (tmp_path / "data").write_text("")
    code, error = said(tmp_path / "data", command)
    assert code == 1
    assert error.startswith("appliance: "), error
    assert error.count("\n") == 1, error


def test_a_geo_database_that_is_not_there(tmp_path: Path) -> None:
    assert said(tmp_path, "project", "create", "S", "--domain", "example.com")[0] == 0
    log = tmp_path / "access.log"
    log.write_text("")
    for arguments in (("serve",), ("import", "--project", "S", str(log))):
        code, error = said(tmp_path, *arguments, APPLIANCE_GEO_DATABASE="/nowhere.mmdb")
        assert (code, error.count("\n")) == (1, 1), error
        assert "APPLIANCE_GEO_DATABASE" in error


def test_numbers_of_nothing(tmp_path: Path) -> None:
    assert said(tmp_path, "project", "create", "S")[0] == 0
    code, error = said(tmp_path, "key", "revoke", "S", "99999999999999999999")
    assert code == 2
    assert "range" in error
    code, error = said(tmp_path, "dead-letters", "retry", "4711")
    assert (code, error) == (1, "appliance: There is no such dead letter.\n")


def test_an_encrypted_archive(tmp_path: Path) -> None:
    assert said(tmp_path, "project", "create", "S", "--domain", "example.com")[0] == 0
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("imported_visitors.csv", "date,visitors\n")
    whole = bytearray(made.getvalue())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # APPNOTE 4.4.4: bit 0 of the flags
        whole[whole.index(mark) + at] |= 1
    (tmp_path / "export.zip").write_bytes(whole)
    code, error = said(tmp_path, "import", "--project", "example.com", str(tmp_path / "export.zip"))
    assert code == 1
    assert "Traceback" not in error


def test_what_waits_for_another_removal_is_not_done(tmp_path: Path, postgresql: Server) -> None:
    url = postgresql.new_database()
    assert said(tmp_path, "project", "create", "S", "--domain", "example.com", APPLIANCE_DATABASE_URL=url)[0] == 0
    arguments = ("erase", "--project", "example.com", "--user", "ann")
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (_REMOVING,))
        code, error = said(tmp_path, *arguments, APPLIANCE_DATABASE_URL=url)
        purged = said(tmp_path, "purge", APPLIANCE_DATABASE_URL=url)
        other.execute("SELECT pg_advisory_unlock_all()")  # a closed connection's locks go a little later
    assert (code, purged[0]) == (1, 1)
    assert "another removal is under way" in error
    assert "nothing was purged: another removal is under way" in purged[1]
    assert said(tmp_path, *arguments, APPLIANCE_DATABASE_URL=url) == (0, "")
