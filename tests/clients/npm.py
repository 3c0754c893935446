"""Packages of npm for a test, of the versions that a lock file names, kept in .make/ from run to run."""

import shutil
import subprocess
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[2] / ".make" / "clients"
NODE_MIN = 20


def installed(package: Path) -> Path:
    """A copy of a folder with a package.json and a lock, its packages installed beside it; skips without node."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("skipped: node is not installed")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").partition(".")[0]) < NODE_MIN:
        pytest.skip(f"skipped: node {NODE_MIN} is not installed, it is {version}")
    folder = CACHE / package.name
    lock = folder / "node_modules" / ".package-lock.json"
    current = (
        lock.exists() and (folder / "package-lock.json").read_bytes() == (package / "package-lock.json").read_bytes()
    )
    shutil.copytree(package, folder, dirs_exist_ok=True)
    if not current:
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts"], cwd=folder, capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stderr
    return folder
