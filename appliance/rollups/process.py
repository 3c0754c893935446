"""Brings the rollups of all projects up to what is stored: `python -m appliance.rollups.process [rebuild]`.

The URL of the database is in the environment (storage/location.py). `rebuild` makes all of them anew. It prints how
many days and months were made, as JSON, and ends early when its standard input closes, which may be at any instant.
"""

import os
import sys
import time
from collections.abc import Iterator

from appliance.clock import now
from appliance.rollups.catalog import CATALOG
from appliance.rollups.units import wanted, wanted_on_servers
from appliance.storage.aside import PAUSE_SECONDS, step_aside
from appliance.storage.location import DATABASE_VARIABLE, sqlite_path


def main(arguments: list[str]) -> None:
    step_aside()
    print(sum(1 for _ in _refresh(os.environ[DATABASE_VARIABLE], rebuild=arguments == ["rebuild"])))


def _refresh(url: str, *, rebuild: bool) -> Iterator[object]:
    # Each engine's driver is loaded only where it is used.
    if (path := sqlite_path(url)) is not None:
        from appliance.storage.sqlite.rollups import job as of_files

        if rebuild:
            of_files.forget(path)
        for unit in of_files.refresh(path, CATALOG, wanted, now()):
            yield unit
            time.sleep(PAUSE_SECONDS)  # a file has one writer
        return
    from appliance.storage.postgresql.aggregates import refresh_aggregates
    from appliance.storage.postgresql.rollups import job as of_servers

    if rebuild:
        of_servers.forget(url)
    yield from of_servers.refresh(url, CATALOG, wanted_on_servers, now())
    refresh_aggregates(url, now(), rebuild=rebuild)


if __name__ == "__main__":
    main(sys.argv[1:])
