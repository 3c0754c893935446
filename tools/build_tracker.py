"""Build the tracker: script.src.js -> script.js, script.x.src.js -> script.x.js, and BUILD.json.

    python tools/build_tracker.py           build and write
    python tools/build_tracker.py --check   build and compare with what is committed; writes nothing

Needs node and npm. The minifier is installed by exact version into .make/ (ignored by git); the server and its
users need none of this, because the built files are committed.
"""

import argparse
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TRACKER = ROOT / "appliance" / "static" / "tracker"
TOOLS = ROOT / ".make" / "tracker"

TERSER_VERSION = "5.51.2"
# Measured on an early script.js, bytes gzip: esbuild 0.28 2,072, both in turn 2,052, terser alone 2,053.
TERSER_OPTIONS = (
    "--ecma", "2019", "--compress", "passes=3,unsafe_arrows,pure_getters,lhs_constants=false", "--mangle",
)  # fmt: skip
ECMASCRIPT = 2019
GZIP_BYTES_MAX = {"script.js": 2048, "script.x.js": 1536}


class BuildError(Exception):
    """The build cannot run or its result breaks a promise; the message says which."""


def source_of(name: str) -> Path:
    """The source of a built file: script.x.js is made of script.x.src.js."""
    return TRACKER / name.replace(".js", ".src.js")


def sha256(content: bytes) -> str:
    """Hex digest, as BUILD.json records it."""
    return hashlib.sha256(content).hexdigest()


def gzip_bytes(content: bytes) -> int:
    """Size in bytes of what `gzip -9 < file` writes."""
    return len(gzip.compress(content, 9, mtime=0))


def run(arguments: list[str], stdin: bytes = b"") -> bytes:
    """Standard output of a command.

    Raises BuildError with its error output when it fails.
    """
    done = subprocess.run(arguments, input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise BuildError(f"{arguments[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def install() -> Path:
    """Put the minifier into .make/ unless it is there in the right version; gives back its node_modules.

    Raises BuildError when node or npm is missing or the installation fails.
    """
    if not shutil.which("node") or not shutil.which("npm"):
        raise BuildError("node and npm are needed to build the tracker")
    modules = TOOLS / "node_modules"
    manifest = modules / "terser" / "package.json"
    if not manifest.exists() or json.loads(manifest.read_text())["version"] != TERSER_VERSION:
        TOOLS.mkdir(parents=True, exist_ok=True)
        run(["npm", "install", "--prefix", str(TOOLS), "--no-save", "--no-audit", "--no-fund",
             "--ignore-scripts", f"terser@{TERSER_VERSION}"])  # fmt: skip
    return modules


def minify(modules: Path, source: bytes) -> bytes:
    """Minified text of one source, checked to be ECMAScript 2019 and nothing newer.

    Every `const` becomes `let` first: the minifier then joins neighbouring declarations into one.
    """
    plain = re.sub(rb"^(\s*)const\b", rb"\1let", source, flags=re.MULTILINE)
    plain = plain.replace(b"for (const ", b"for (let ")
    built = run(["node", str(modules / "terser" / "bin" / "terser"), *TERSER_OPTIONS], plain).strip() + b"\n"
    parse = f"require('acorn').parse(require('fs').readFileSync(0, 'utf8'), {{ecmaVersion: {ECMASCRIPT}}})"
    run(["node", "--eval", f"module.paths.unshift({json.dumps(str(modules))});{parse}"], built)
    return built


def build() -> dict[str, bytes]:
    """Every built file, by name, BUILD.json last.

    Raises BuildError when a file is larger than promised.
    """
    modules = install()
    files: dict[str, bytes] = {}
    manifest: dict[str, dict[str, str | int]] = {}
    for name, limit in GZIP_BYTES_MAX.items():
        source = source_of(name).read_bytes()
        built = files[name] = minify(modules, source)
        if gzip_bytes(built) > limit:
            raise BuildError(f"{name}: {gzip_bytes(built)} bytes gzip, at most {limit} are promised")
        manifest[name] = {
            "source": source_of(name).name,
            "source_sha256": sha256(source),
            "sha256": sha256(built),
            "bytes": len(built),
            "gzip_bytes": gzip_bytes(built),
            "gzip_bytes_max": limit,
        }
    record = {"tools": {"terser": TERSER_VERSION}, "options": list(TERSER_OPTIONS), "files": manifest}
    files["BUILD.json"] = json.dumps(record, indent=2).encode() + b"\n"
    return files


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the tracker from its sources.")
    parser.add_argument("--check", action="store_true", help="compare with the committed files, write nothing")
    check = parser.parse_args().check
    try:
        files = build()
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    stale = [
        name
        for name, content in files.items()
        if not (TRACKER / name).exists() or (TRACKER / name).read_bytes() != content
    ]
    for name, entry in json.loads(files["BUILD.json"])["files"].items():
        print(f"{name}: {entry['bytes']} bytes, {entry['gzip_bytes']} gzip of {entry['gzip_bytes_max']}")
    if check:
        if stale:
            print(f"not current: {', '.join(stale)}; run python tools/build_tracker.py", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (TRACKER / name).write_bytes(files[name])
    return 0


if __name__ == "__main__":
    sys.exit(main())
