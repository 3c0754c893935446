"""@segment/analytics-node: every call arrives once, as what it is, also over a line that fails."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Site
from tests.clients.npm import installed
from tests.clients.segment_calls import Calls
from tests.clients.unsteady import Fate, Line


def send(url: str, key: str, calls: Calls) -> Any:
    """The errors that the library told of."""
    program = installed(Path(__file__).parent / "segment_node") / "send.mjs"
    command = ["node", str(program), url, key, json.dumps(vars(calls))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("fate", ["lost", "busy"])
def test_every_call_arrives_once(site: Site, fate: Fate) -> None:
    calls = Calls()
    with Line(site.server.url, fate) as line:
        assert send(line.url, site.key, calls) == []
    assert line.answered == ([0, 200] if fate == "lost" else [200])
    calls.assert_stored(site)


def test_a_wrong_key_is_told_and_not_tried_again(site: Site) -> None:
    with Line(site.server.url) as line:
        errors = send(line.url, "sa_wrong", Calls())
    assert line.answered == [401]
    assert all("401" in error for error in errors)
    assert errors
