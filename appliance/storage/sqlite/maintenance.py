"""The process that erases and purges: `python -m appliance.storage.sqlite.maintenance DATABASE erase|purge`.

A process of its own, as sealing has: it needs numpy, and seconds of a CPU. It ends early when its stdin closes, which
is right at any instant. What `purge` took out it says on stdout, as JSON.
"""

import sys
import time
from pathlib import Path

import msgspec

from appliance.clock import now
from appliance.storage.aside import PAUSE_SECONDS, step_aside
from appliance.storage.interface import Purged
from appliance.storage.sqlite.removal.erase import erase_all
from appliance.storage.sqlite.removal.projects import remove_deleted
from appliance.storage.sqlite.removal.purge import purge_all
from appliance.storage.sqlite.removal.wipe import delete_securely, wipe
from appliance.storage.sqlite.writer import WriteConnection


def erase(connection: WriteConnection) -> None:
    """Carry out what was asked for; what a reader keeps from being wiped is left to the next time."""
    connection.step(delete_securely)
    for _ in erase_all(connection.step):
        time.sleep(PAUSE_SECONDS)
    wipe(connection, PAUSE_SECONDS)


def purge(connection: WriteConnection) -> Purged:
    """Take out what is not kept any longer."""
    projects = visits = events = 0
    for finished in remove_deleted(connection.step, now()):
        projects += finished
        time.sleep(PAUSE_SECONDS)
    for removed in purge_all(connection.step, now()):
        visits += removed.visits
        events += removed.events
        time.sleep(PAUSE_SECONDS)
    return Purged(projects, visits, events)


def main(arguments: list[str]) -> None:
    database, task = arguments
    step_aside()
    connection = WriteConnection(Path(database))
    try:
        if task == "erase":
            erase(connection)
        else:
            sys.stdout.buffer.write(msgspec.json.encode(purge(connection)))
            sys.stdout.buffer.flush()
    finally:
        connection.close()


if __name__ == "__main__":
    main(sys.argv[1:])
