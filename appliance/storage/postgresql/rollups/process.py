"""Takes whom an erasure is about out of rollups whose raw data are gone: `python -m ... ERASURE_ID`.

A process of its own, because it needs numpy. The URL of the database is in the environment (storage/location.py).
"""

import os
import sys

import msgspec

from appliance.storage.aside import step_aside
from appliance.storage.location import DATABASE_VARIABLE
from appliance.storage.postgresql.connection import work_connection
from appliance.storage.postgresql.rollups.erase import erase_from_final


def main(arguments: list[str]) -> None:
    step_aside()
    with work_connection(os.environ[DATABASE_VARIABLE]) as connection:
        select = "SELECT e.project_id, e.visitors FROM erasure e WHERE e.id = %s"
        row = connection.execute(select, (int(arguments[0]),)).fetchone()
        if row is not None:
            erase_from_final(connection, row[0], msgspec.json.decode(row[1], type=list[int]))


if __name__ == "__main__":
    main(sys.argv[1:])
