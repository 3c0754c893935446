"""Brings the rollups of all projects up to what is sealed: `python -m appliance.rollups.process DATABASE [rebuild]`.

`rebuild` makes all of them anew. It prints how many days and months were made, as JSON, and ends early when its
standard input closes, which may be at any instant.
"""

import sys
import time
from pathlib import Path

from appliance.clock import now
from appliance.rollups.catalog import CATALOG
from appliance.rollups.units import wanted
from appliance.storage.aside import PAUSE_SECONDS, step_aside
from appliance.storage.sqlite.rollups.job import forget, refresh


def main(arguments: list[str]) -> None:
    database, *others = arguments
    step_aside()
    if others == ["rebuild"]:
        forget(Path(database))
    made = 0
    for _ in refresh(Path(database), CATALOG, wanted, now()):
        made += 1
        time.sleep(PAUSE_SECONDS)
    print(made)


if __name__ == "__main__":
    main(sys.argv[1:])
