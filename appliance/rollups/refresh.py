"""Brings the rollups of all projects up to what is sealed: `python -m appliance.rollups.refresh DATABASE`.

Ends early when its standard input closes, which may be at any instant.
"""

import sys
import time
from pathlib import Path
from typing import Final

from appliance.clock import now
from appliance.rollups.catalog import CATALOG
from appliance.rollups.units import wanted
from appliance.storage.sqlite.aside import step_aside
from appliance.storage.sqlite.rollup_job import refresh

PAUSE_SECONDS: Final = 0.05  # between two units, so that others get their turn


def main(arguments: list[str]) -> None:
    (database,) = arguments
    step_aside()
    for _ in refresh(Path(database), CATALOG, wanted, now()):
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1:])
