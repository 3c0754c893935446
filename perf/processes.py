"""The servers that are measured, each in a process of its own, and what the kernel says of them."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

READY_SECONDS_MAX = 30.0
POLL_SECONDS = 0.005
TICKS = os.sysconf("SC_CLK_TCK")
EMAIL, PASSWORD = "perf@example.com", "not-a-secret-at-all"
DOMAIN = "perf.example"


class Project(NamedTuple):
    """What `project create` printed."""

    id: str
    public_key: str
    private_key: str


class Server(ABC):
    """A process that listens on 127.0.0.1. Use as a context manager."""

    name = "server"
    ready_path = "/"

    def __init__(self) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ready_seconds = 0.0
        self.log: IO[bytes] | None = None  # where it writes; None: to our own standard error
        self._process: subprocess.Popen[bytes]

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What starts it."""

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def __enter__(self) -> Self:
        started = time.perf_counter()
        self._process = subprocess.Popen(
            self.command(), env=self.environment(), stdout=subprocess.DEVNULL, stderr=self.log
        )
        while not self._answers():
            if self._process.poll() is not None:
                raise SystemExit(f"{self.name} ended with {self._process.returncode} at its start")
            if time.perf_counter() - started > READY_SECONDS_MAX:
                self._process.kill()
                raise SystemExit(f"{self.name} was not ready within {READY_SECONDS_MAX:.0f} s")
            time.sleep(POLL_SECONDS)
        self.ready_seconds = time.perf_counter() - started
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time so far of the serving process ('serving') and of its children, by what they are."""
        return {name: cpu_seconds(pid) for name, pid in self._family()}

    def memory_mb(self) -> dict[str, float]:
        """Resident memory of the same processes."""
        return {name: memory_mb(pid) for name, pid in self._family()}

    def _family(self) -> list[tuple[str, int]]:
        return [("serving", self.pid), *((child_name(pid), pid) for pid in children(self.pid))]

    def _answers(self) -> bool:
        try:
            return self.get(self.ready_path)[0] < 300
        except (OSError, http.client.HTTPException):
            return False


class Bare(Server):
    """Uvicorn with nothing behind it."""

    name = "bare uvicorn"

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "perf.bare", str(self.port)]


class Appliance(Server):
    """`appliance serve` on a data folder of its own, which goes with it, with a project and an account."""

    name = "the appliance"
    ready_path = "/readyz"

    def __init__(self, **settings: str) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="appliance-perf-"))
        self._settings = settings
        made = self.cli("project", "create", "Measured", "--domain", DOMAIN, "--json")
        self.project = Project(made["id"], made["public_key"], made["private_key"])

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "appliance", "serve"]

    def environment(self) -> dict[str, str]:
        own = {
            "data_dir": str(self.folder),
            "port": str(self.port),
            "rate_limit_address": "0",  # all load comes from one address
            "admin_email": EMAIL,
            "admin_password": PASSWORD,
            **self._settings,
        }
        return os.environ | {f"APPLIANCE_{name.upper()}": value for name, value in own.items()}

    def cli(self, *arguments: str) -> Any:
        """What a command prints as JSON."""
        command = [sys.executable, "-m", "appliance", *arguments]
        done = subprocess.run(command, check=False, env=self.environment(), capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    def send(self, event: dict[str, Any]) -> None:
        """One event, as a server sends it."""
        headers = {"Authorization": f"Bearer {self.project.public_key}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("POST", "/api/v1/events/ingest", json.dumps(event), headers)
        status = connection.getresponse().status
        connection.close()
        if status != 202:
            raise SystemExit(f"an event was answered with {status}")

    def counters(self) -> dict[str, float]:
        """The numbers of /metrics, without `appliance_` and `_total`."""
        numbers: dict[str, float] = {}
        for line in self.get("/metrics")[1].decode().splitlines():
            if line.startswith("appliance_") and "{" not in line:
                name, _, value = line.partition(" ")
                numbers[name.removeprefix("appliance_").removesuffix("_total")] = float(value)
        return numbers

    def wait_until_drained(self, seconds_max: float = 300) -> float:
        """Seconds until everything accepted is in the database."""
        started = time.perf_counter()
        while (took := time.perf_counter() - started) < seconds_max:
            if self.counters()["journal_backlog_bytes"] == 0:
                return took
            time.sleep(0.02)
        raise SystemExit(f"the journal was not drained within {seconds_max:.0f} s")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def busy_seconds() -> float:
    """CPU time that the whole machine spent so far on something (proc(5), stat: all but idle and iowait)."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS


def memory_mb(pid: int) -> float:
    """Resident set of a process (proc(5), VmRSS of status)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def child_name(pid: int) -> str:
    """What a child process is: the last part of the module that it runs."""
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    modules = [part for part in arguments if part.startswith("appliance.")]
    return modules[0].rpartition(".")[2] if modules else f"child {pid}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
