"""The real thing: `appliance serve` as a process on a free port, and the command line beside it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self


class Server:
    """A serving process on a data folder. Use as a context manager; `kill` and `start` as often as needed."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = os.environ | {
            "APPLIANCE_DATA_DIR": str(folder),
            "APPLIANCE_PORT": str(self.port),
            "APPLIANCE_RATE_LIMIT_ADDRESS": "0",  # all tests come from one address
            **{f"APPLIANCE_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.log = folder.parent / f"{folder.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        greetings = self.log.read_text().count("listens at") if self.log.exists() else 0
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "appliance", "serve"]
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if self.get("/readyz")[0] == 200 and self.log.read_text().count("listens at") > greetings:
                    return self
            except OSError:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"the server did not start:\n{self.log.read_text()}")

    def kill(self) -> None:
        """As the power cord does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """As an operator does; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def __enter__(self) -> Self:
        return self if self.process is not None else self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()

    def cli(self, *arguments: str) -> Any:
        """A command's JSON, or its text where it prints none."""
        done = subprocess.run(
            [sys.executable, "-m", "appliance", *arguments], env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr or done.stdout
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            return done.stdout

    def project(self, name: str = "Site", domain: str = "example.com", *more: str) -> dict[str, Any]:
        made: dict[str, Any] = self.cli("project", "create", name, "--domain", domain, "--json", *more)
        return made

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        return self._send(urllib.request.Request(self.url + path, headers=_names(headers)))

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, answer = self._send(urllib.request.Request(self.url + path, data, _names(headers), method="POST"))
        try:
            return status, json.loads(answer)
        except json.JSONDecodeError:
            return status, answer

    def ingest(self, key: str, body: Any, **headers: str) -> tuple[int, Any]:
        return self.post("/api/v1/events/ingest", body, x_api_key=key, **headers)

    def query(self, key: str, **question: Any) -> Any:
        status, answer = self.post("/api/v2/query", question, authorization=f"Bearer {key}")
        assert status == 200, answer
        return answer

    def wait_until_stored(self, events: int, seconds: float = 30) -> int:
        """Wait until that many events are stored in all; how many there are in the end."""
        deadline = time.monotonic() + seconds
        stored = -1
        while time.monotonic() < deadline:
            stored = sum(project["events"] for project in self.cli("status", "--json")["projects"])
            if stored >= events:
                break
            time.sleep(0.1)
        return stored

    def _send(self, request: urllib.request.Request) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _names(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
