"""What PostHog's libraries ask before they send: nothing is there, and nothing breaks."""

import gzip
import json
import subprocess
from shutil import which
from typing import Any

import pytest

from tests.running import Running

ORIGIN = {"origin": "https://example.com"}


@pytest.mark.parametrize("path", ["/flags/?v=2&config=true", "/decide/?v=3", "/flags"])
async def test_no_flag_is_set(running: Running, path: str) -> None:
    answer = await running.http.post(path, content=gzip.compress(b"whatever"), headers=ORIGIN)
    assert answer.status_code == 200
    body: Any = answer.json()
    assert body["flags"] == body["featureFlags"] == {}
    assert body["errorsWhileComputingFlags"] is False
    assert answer.headers["access-control-allow-origin"] == "https://example.com"


async def test_the_configuration_turns_off_what_is_not_there(running: Running) -> None:
    body = (await running.http.get("/array/sa_x/config", headers=ORIGIN)).json()
    assert body["token"] == "sa_x"
    assert body["hasFeatureFlags"] is body["sessionRecording"] is body["surveys"] is False
    assert "gzip-js" in body["supportedCompression"]


@pytest.mark.parametrize("token", ["sa_x", '"],x:alert(1)<!--', "__proto__"])
async def test_the_configuration_as_a_script(running: Running, token: str) -> None:
    answer = await running.http.get(f"/array/{token}/config.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    if not which("node"):
        pytest.skip("skipped: node is not installed")
    program = f"const window={{}};{answer.text};console.log(JSON.stringify(window._POSTHOG_REMOTE_CONFIG))"
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True, timeout=10)
    assert done.returncode == 0, done.stderr
    configured = json.loads(done.stdout)
    if token != "__proto__":
        assert configured[token]["config"]["hasFeatureFlags"] is False


@pytest.mark.parametrize("path", ["/static/array.js", "/static/array.full.js", "/array/sa_x/array.js"])
async def test_their_script_is_not_served_and_says_so_on_the_page(running: Running, path: str) -> None:
    answer = await running.http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert answer.text.startswith("console.warn(")


async def test_recordings_are_taken_and_not_kept(running: Running) -> None:
    before = await running.stored()
    answer = await running.http.post("/s/?compression=gzip-js", content=b"x" * 6_000_000)
    assert (answer.status_code, answer.json()) == (200, {"status": 1})
    assert await running.stored() == before


@pytest.mark.parametrize("path", ["/array/", "/array/sa_x", "/array/sa_x/other", "/array/sa_x/config/more"])
async def test_other_paths_are_not_found(running: Running, path: str) -> None:
    answer = await running.http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
