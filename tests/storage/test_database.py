"""Opening a SQLite database: what it makes, and what is left when it fails."""

import threading
from pathlib import Path

import pytest

from appliance.storage.sqlite import database as module
from appliance.storage.sqlite.database import SqliteDatabase


async def test_what_cannot_be_opened_leaves_no_thread_that_keeps_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = threading.enumerate()
    monkeypatch.setattr(module, "SELECT_MARK", "SELECT value FROM nowhere")
    with pytest.raises(Exception, match="no such table"):
        await SqliteDatabase(tmp_path / "appliance.db").open()
    left = [thread.name for thread in threading.enumerate() if thread not in before]
    assert [name for name in left if not name.startswith("asyncio_")] == []
