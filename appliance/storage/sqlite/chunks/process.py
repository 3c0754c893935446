"""The process that seals and compacts: `python -m appliance.storage.sqlite.chunks.process DATABASE`.

It ends early when its standard input closes, which may be at any instant.
"""

import sys
import time
from pathlib import Path

from appliance.clock import now
from appliance.storage.aside import PAUSE_SECONDS, step_aside
from appliance.storage.sqlite.chunks.compact import compact_settled
from appliance.storage.sqlite.chunks.seal import seal_settled
from appliance.storage.sqlite.writer import WriteConnection


def main(arguments: list[str]) -> None:
    (database,) = arguments
    step_aside()
    connection = WriteConnection(Path(database))
    try:
        for settle in (seal_settled, compact_settled):
            for _ in settle(connection.step, now()):
                time.sleep(PAUSE_SECONDS)
    finally:
        connection.close()


if __name__ == "__main__":
    main(sys.argv[1:])
