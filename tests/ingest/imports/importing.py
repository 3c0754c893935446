"""Files imported into a database without a server, as the command line does it."""

from functools import partial
from pathlib import Path
from typing import Any

from appliance.ingest.imports import identify
from appliance.ingest.imports.run import Where, is_held, run
from appliance.model import Project
from appliance.storage.imports import Import
from tests.engines import AnyDatabase
from tests.running import FIREFOX

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
AGENTS = (FIREFOX, CHROME)


def url_of(db: AnyDatabase) -> str:
    return f"sqlite:///{db.path}" if hasattr(db, "path") else db.url


async def import_file(
    db: AnyDatabase, data_dir: Path, project: Project, path: Path, *, honours: bool = True, **wanted: Any
) -> Import:
    """Import what is new of a file; the ledger's record of it."""
    source, file_format = wanted.pop("source", ""), wanted.pop("file_format", None)
    given = identify.Given(path.name, file_format, source, honours, "test")
    look = identify.look_at(path, file_format)
    found, behind = await identify.register(
        db, project, path, look, given, state="running", is_held=partial(is_held, data_dir)
    )
    where = Where(data_dir, url_of(db), None)
    return await run(db, where, found.id, path, alone=True, **wanted) if behind else found


def combined(
    number: int,
    target: str = "/",
    *,
    time: str = "02/Mar/2026:12:00:00 +0000",
    status: int = 200,
    agent: str = FIREFOX,
    method: str = "GET",
    referrer: str = "-",
) -> str:
    """A line of a combined log; the number says from which address."""
    return f'192.0.2.{number} - - [{time}] "{method} {target} HTTP/1.1" {status} 512 "{referrer}" "{agent}"\n'
