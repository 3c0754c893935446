"""One served appliance for the libraries that people have, unmodified, and what it has stored of theirs."""

import json
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from appliance.storage.dimensions import DICTIONARIES
from tests.process import Server

Row = dict[str, Any]


class Site:
    """A project of a served appliance."""

    def __init__(self, server: Server) -> None:
        made = server.project()
        self.server = server
        self.key: str = made["public_key"]
        self._private: str = made["private_key"]

    def events(self, *ids: str) -> dict[str, Row]:
        """The events with those ids, each of which is stored once, when all that was taken before is stored."""
        last = str(uuid.uuid4())
        assert self.server.ingest(self.key, {"event": "last", "event_id": last})[0] == 202
        deadline = time.monotonic() + 10
        rows: list[Row] = []
        while not any(row["event_id"] == last for row in rows):
            assert time.monotonic() < deadline
            time.sleep(0.02)
            rows = self._export("events")
        found = [row for row in rows if row["event_id"] in ids]
        assert sorted(row["event_id"] for row in found) == sorted(ids)
        return {row["event_id"]: row for row in found}

    def visit_of(self, row: Row) -> Row:
        (visit,) = [visit for visit in self._export("visits") if visit["visit_id"] == row["visit_id"]]
        return visit

    def traits(self, user: str) -> Any:
        with closing(sqlite3.connect(self.server.folder / "appliance.db", timeout=10)) as connection:
            found = connection.execute(
                "SELECT t.traits FROM user_trait t JOIN dictionary d ON d.dimension = ? AND d.code = t.user"
                " AND d.project_id = t.project_id WHERE d.text = ?",
                (DICTIONARIES["user"], user),
            ).fetchone()
        return json.loads(found[0]) if found else None

    def _export(self, dataset: str) -> list[Row]:
        path = f"/api/v1/export?dataset={dataset}&format=ndjson"
        status, body = self.server.get(path, authorization=f"Bearer {self._private}")
        assert status == 200, body
        return [json.loads(line) for line in body.splitlines()]


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Server(tmp_path_factory.mktemp("clients") / "data") as server:
        yield Site(server)
