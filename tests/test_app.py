"""What the serving process does every hour, without a server around it."""

from pathlib import Path

from appliance.app import Appliance
from appliance.config import Settings
from appliance.storage import projects
from appliance.storage.postgresql.drain_store import PostgresqlDrainStore
from tests.builders import START, pageview
from tests.ingest.applying import Applying
from tests.postgresql import Server
from tests.storage.test_columnstore import BREAK_EVENTS


async def test_days_are_counted_although_they_cannot_be_sealed(tmp_path: Path, timescaledb: Server) -> None:
    """Else nothing of them could ever be purged."""
    settings = Settings(data_dir=tmp_path, database_url=timescaledb.new_database())
    appliance = Appliance(settings)
    database = appliance.database
    await database.open()
    try:
        made = await projects.create(database, name="Site", timezone="Europe/Berlin", actor="test", at=START)
        applying = Applying(lambda: PostgresqlDrainStore(settings.database_url))
        applying.apply(pageview(0, project_id=made.project.id))
        applying.store.close()
        await database.write(BREAK_EVENTS)
        await appliance._seal()
        assert await database.read("SELECT count(*) > 0 FROM rollup") == [(True,)]
    finally:
        await database.close()
