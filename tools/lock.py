"""Renew requirements.lock and requirements-dev.lock from pyproject.toml: every package with its version and hashes.

Uses uv in a throw-away environment; users of the project never need it.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMPILE = (
    "pip compile --quiet --universal --python-version 3.11 --generate-hashes "
    "--no-emit-index-url --no-header --no-annotate"
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        subprocess.run([f"{folder}/bin/pip", "install", "-q", "uv"], check=True)
        uv = [f"{folder}/bin/uv", *COMPILE.split()]
        subprocess.run([*uv, "--upgrade", "pyproject.toml", "-o", "requirements.lock"], cwd=ROOT, check=True)
        dev = ["--group", "dev", "pyproject.toml", "-c", "requirements.lock", "-o", "requirements-dev.lock"]
        subprocess.run([*uv, *dev], cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
