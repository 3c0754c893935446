"""What the project promises about its own files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [path for path in (ROOT / "appliance").rglob("*.py") if "__pycache__" not in path.parts]


def tracked() -> list[Path]:
    """Files of the project, as git knows them; without git, all that are no build products."""
    done = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("skipped: not a git checkout")
    return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def test_every_sql_file_is_used() -> None:
    code = "\n".join(path.read_text("utf-8") for path in SOURCES)
    for path in (ROOT / "appliance").rglob("*.sql"):
        if path.parent.name != "migrations":
            assert f'"{path.name}"' in code, path


def test_nothing_is_created_on_import() -> None:
    """Importing the whole application opens no file, starts no thread and no process."""
    script = (
        "import threading, multiprocessing, os, appliance.cli, appliance.serve\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "assert not multiprocessing.active_children()\n"
        "import sys; heavy = {'duckdb', 'numpy', 'psycopg'} & set(sys.modules); assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr


def test_files_stay_one_idea() -> None:
    long = {path.name: len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in long.items() if lines > 450 and not name.startswith("strings")} == {}


def test_no_path_of_a_machine_and_no_registry_is_named() -> None:
    forbidden = re.compile(rf"{re.escape(str(ROOT))}/|/root/|pypi\.org|pythonhosted|registry\.npmjs")
    foreign = ROOT / "tests" / "ingest" / "data" / "crawlers.txt"  # agents as their makers wrote them
    for path in tracked():
        if path == foreign or path.suffix in {".woff2", ".png", ".ico", ".mmdb"} or path == Path(__file__):
            continue
        found = forbidden.search(path.read_text("utf-8", "replace"))
        assert found is None, f"{path.relative_to(ROOT)}: {found[0] if found else ''}"


def test_vendored_files_have_their_licences_beside_them() -> None:
    vendor = ROOT / "appliance" / "static" / "vendor"
    names = {path.name for path in vendor.iterdir()}
    assert "VERSIONS" in {name.partition(".")[0] for name in names}
    scripts = [name for name in names if name.endswith(".js")]
    assert scripts
    assert any("LICENSE" in name.upper() for name in names)
