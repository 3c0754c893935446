"""The built tracker belongs to its sources, keeps its promised sizes, and its manual is complete."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from tools import build_tracker

ROOT = Path(__file__).parents[2]
TRACKER = ROOT / "appliance" / "static" / "tracker"
MANUAL = (ROOT / "docs" / "tracker.md").read_text()
BUILD = json.loads((TRACKER / "BUILD.json").read_text())
SOURCES = {name: (TRACKER / name).read_text() for name in ("script.src.js", "script.x.src.js")}
STUB = re.search(r"<script>(window\.appliance=.*?)</script>", MANUAL)


@pytest.mark.parametrize(("name", "gzip_bytes_max"), [("script.js", 2048), ("script.x.js", 1536)])
def test_a_built_file_is_current_and_small(name: str, gzip_bytes_max: int) -> None:
    entry = BUILD["files"][name]
    built = (TRACKER / name).read_bytes()
    source = (TRACKER / entry["source"]).read_bytes()
    assert build_tracker.sha256(source) == entry["source_sha256"], "run python tools/build_tracker.py"
    assert build_tracker.sha256(built) == entry["sha256"], "built files are not edited by hand"
    assert build_tracker.gzip_bytes(built) <= gzip_bytes_max


def test_the_recorded_tools_are_those_of_the_build() -> None:
    assert BUILD["tools"] == {"terser": build_tracker.TERSER_VERSION}
    assert BUILD["options"] == list(build_tracker.TERSER_OPTIONS)


def test_building_again_gives_the_same_bytes() -> None:
    try:
        build_tracker.install()
    except build_tracker.BuildError as error:
        pytest.skip(f"skipped: {error}")
    for name, content in build_tracker.build().items():
        assert (TRACKER / name).read_bytes() == content, name


@pytest.mark.parametrize("name", ["script.js", "script.x.js"])
@pytest.mark.parametrize(
    "forbidden", [r"\beval\b", r"\bFunction\(", r"\.cookie\b", "innerHTML", "document.write", "import", "unload"]
)
def test_a_strict_policy_and_the_back_forward_cache_have_nothing_to_object_to(name: str, forbidden: str) -> None:
    assert not re.search(forbidden, (TRACKER / name).read_text())


def test_every_attribute_of_the_tag_is_in_the_manual() -> None:
    read = {name for source in SOURCES.values() for name in re.findall(r'(?<!\.)\bdata\.(\w+)|"(\w+)" in data', source)}
    attributes = {re.sub(r"[A-Z]", lambda m: "-" + m[0].lower(), a or b) for a, b in read}
    assert {"key", "domain", "website-id", "hash", "manual", "persist", "outbound", "404", "compat"} <= attributes
    assert sorted(name for name in attributes if f"`data-{name}" not in MANUAL) == []


def test_every_call_is_in_the_manual_and_in_the_stub() -> None:
    calls = re.search(r"window\.appliance = \{(.*?)\n    \};", SOURCES["script.src.js"], re.DOTALL)
    assert calls
    names = re.findall(r"^      (\w+)[,:]", calls[1], re.MULTILINE)
    assert names == ["track", "page", "identify", "reset", "optOut", "optIn"]
    assert STUB
    for name in names:
        assert f"appliance.{name}(" in MANUAL
        assert f'"{name}"' in STUB[1]


def test_the_stub_of_the_manual_is_the_tested_one_and_its_hash_is_right() -> None:
    assert STUB
    page = (ROOT / "tests" / "tracker" / "pages" / "stub.html").read_text()
    assert STUB[0] in page
    digest = base64.b64encode(hashlib.sha256(STUB[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in MANUAL


def test_the_default_downloads_are_in_the_manual() -> None:
    listed = re.search(r'data\.downloads\s*\|\| "([\w,]+)"\s*\+ "([\w,]+)"', SOURCES["script.x.src.js"])
    assert listed
    assert " ".join((listed[1] + listed[2]).split(",")) in " ".join(MANUAL.split())
