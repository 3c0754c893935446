"""What the commands share: settings, an open database, and how a result is printed."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from appliance import config
from appliance.config import Settings
from appliance.errors import ApplianceError, NotFound
from appliance.model import Project
from appliance.storage import project_fields, projects
from appliance.storage.interface import Database
from appliance.storage.open import opened

T = TypeVar("T")
ACTOR = "cli"
ROW_ID = click.IntRange(1, (1 << 63) - 1)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def load_settings(**flags: Any) -> Settings:
    """The settings of this call. Raises ConfigurationError."""
    context = click.get_current_context()
    data_dir = context.find_root().obj
    return config.load(**({"data_dir": data_dir} if data_dir else {}) | flags)


def with_database(work: Callable[[Database], Awaitable[T]], *, may_make: bool = False) -> T:
    """The result of `work` with the database that the settings name. `may_make`: with a new one, where there is none.

    Raises StorageUnavailable, DatabaseTooNew, ConfigurationError.
    """

    async def run() -> T:
        async with opened(load_settings(), may_make=may_make) as database:
            return await work(database)

    return asyncio.run(run())


async def find_project(database: Database, which: str) -> Project:
    """A project by its id or one of its domains. Raises NotFound."""
    found = await projects.by_public_id(database, which)
    if found is None:
        try:
            found = await projects.by_domain(database, project_fields.domain(which))
        except ApplianceError:
            found = None
    if found is None:
        raise NotFound(f"there is no project {which!r}; give an id or a domain (appliance project list)")
    return found


def show(value: Any, as_json: bool, lines: Callable[[], list[str]]) -> None:
    """Print a result as JSON, or as lines for people."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2) if as_json else "\n".join(lines()))


def iso(time: int | None) -> str | None:
    """UTC microseconds as ISO 8601."""
    return None if time is None else datetime.fromtimestamp(time / 1e6, UTC).isoformat(timespec="seconds")
