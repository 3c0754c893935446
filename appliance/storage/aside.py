"""Jobs with a process of their own: they need numpy, and seconds of a CPU, which the serving process has not."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from appliance.errors import StorageUnavailable

NICENESS: Final = 10
PAUSE_SECONDS: Final = 0.05  # between two steps of a job, so that the drain gets its turn


async def run_aside(module: str, *arguments: str | Path, environment: Mapping[str, str] = {}) -> bytes:
    """Run a module to its end, with `environment` beside this process's own; gives what it said on standard output.

    When the call is cancelled the process is killed: every step of a job is a transaction. Raises StorageUnavailable
    when it fails.
    """
    command, pipe = (sys.executable, "-m", module, *map(str, arguments)), asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env={**os.environ, **environment})
    assert process.stdout is not None
    try:
        said = await process.stdout.read()
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if status:
        raise StorageUnavailable(f"{' '.join(command[2:])} ended with status {status}")
    return said


def step_aside() -> None:
    """To be called first in such a process: others go first, and it ends when its standard input closes."""
    # Asked to end, the whole group gets the signal; but the serving process decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    os.read(0, 1)  # nothing is ever sent; the interpreter could not end while a buffered read waits
    os._exit(1)
