"""Logs that nobody can fill."""

import json
import logging
import subprocess
import sys

import pytest

from appliance import telemetry
from appliance.telemetry import Seldom


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(telemetry.time, "monotonic", lambda: now[0])
    return now


def test_the_same_is_said_once_in_a_while(seconds: list[float]) -> None:
    seldom = Seldom(10)
    assert [seldom.due("a"), seldom.due("a"), seldom.due("b"), seldom.due("a")] == [0, None, 0, None]
    seconds[0] += 10
    assert [seldom.due("a"), seldom.due("a"), seldom.due("b")] == [2, None, 0]


def test_many_things_fill_no_memory(seconds: list[float]) -> None:
    seldom = Seldom(10)
    for number in range(3 * telemetry.THINGS_MAX):
        assert seldom.due(str(number)) == 0
    assert len(seldom._said) <= telemetry.THINGS_MAX + 1


def test_what_libraries_repeat_is_told_with_its_number(seconds: list[float], caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("uvicorn.error")
    caplog.handler.addFilter(telemetry._Filter())
    for _ in range(1000):
        logger.warning("Invalid HTTP request received.")
    seconds[0] += 10
    logger.warning("Invalid HTTP request received.")
    logger.warning("Something else: %s", "x")
    assert [record.getMessage() for record in caplog.records] == [
        "Invalid HTTP request received.",
        "Invalid HTTP request received. (and 999 times before, unsaid)",
        "Something else: x",
    ]


_LIBRARY = """
import logging, sys
from appliance.telemetry import configure_logs
configure_logs(sys.argv[1])
configure_logs(sys.argv[1])
try:
    raise ValueError("why")
except ValueError:
    logging.getLogger("asyncio").exception("It broke: %s", "x")
"""


def said_by_a_library(log_format: str) -> str:
    command = [sys.executable, "-c", _LIBRARY, log_format]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def test_what_libraries_say_is_a_line_of_json_too() -> None:
    (line,) = said_by_a_library("json").splitlines()
    said = json.loads(line)
    assert (said["event"], said["level"], said["logger"]) == ("It broke: x", "error", "asyncio")
    assert said["exception"].endswith("ValueError: why")
    assert said["timestamp"].endswith("Z")


def test_what_libraries_say_is_text_for_people() -> None:
    said = said_by_a_library("text").splitlines()
    assert (said[0], said[-1]) == ("ERROR asyncio: It broke: x", "ValueError: why")
