"""What is stored: pack it, let it go after its time, erase a person."""

from typing import Any

import click

from appliance import clock
from appliance.cli.common import ACTOR, as_json, find_project, iso, load_settings, show, with_database
from appliance.errors import StorageUnavailable
from appliance.rollups import refresh as rollups
from appliance.storage import erasures, retention
from appliance.storage.erasures import Erasure
from appliance.storage.interface import Database, Purged, Sealed


@click.command()
@as_json
def seal(as_json: bool) -> None:
    """Pack the visits of days that are over; a running server does it every hour."""

    async def work(database: Database) -> Sealed:
        await database.seal()
        return await database.count_sealed()

    found = with_database(work)
    show(
        found._asdict(),
        as_json,
        lambda: [f"{found.events:,} events are sealed, {found.waiting:,} wait for their days to be over"],
    )


@click.command()
@as_json
def purge(as_json: bool) -> None:
    """Remove what is not kept any longer; a running server does it every hour."""

    async def work(database: Database) -> Purged:
        await rollups.refresh(database)  # what is to be known of days that go
        done = await retention.purge(database, clock.now())
        if done.left_to_another:
            raise StorageUnavailable(
                "nothing was purged: another removal is under way. A running server purges within the hour"
            )
        return done

    purged = with_database(work)
    show(
        {"projects": purged.projects, "visits": purged.visits, "events": purged.events},
        as_json,
        lambda: [
            f"purged {purged.visits:,} visits with {purged.events:,} events, {purged.projects:,} deleted projects"
        ],
    )


@click.command()
@click.option("--project", "which", required=True, help="Id or domain.")
@click.option("--user", help="The user's id, as it was sent.")
@click.option("--visitor", help="16 hexadecimal digits, as exports show them.")
@click.option("--timeout", "timeout_seconds", type=float, default=300.0, show_default=True, help="For the journal.")
@as_json
def erase(which: str, user: str | None, visitor: str | None, timeout_seconds: float, as_json: bool) -> None:
    """Erase one user or one visitor with all visits and events, for good."""
    if (user is None) == (visitor is None):
        raise click.UsageError("Give either --user or --visitor.")
    number = None if visitor is None else erasures.visitor(visitor)

    async def work(database: Database) -> Erasure:
        found = await find_project(database, which)
        await _store_what_was_sent(timeout_seconds)
        asked: dict[str, Any] = {"actor": ACTOR, "at": clock.now()}
        if number is None:
            erasure_id = await erasures.ask_for_user(database, found, user or "", **asked)
        else:
            erasure_id = await erasures.ask_for_visitor(database, found, number, **asked)
        await database.erase()
        done = await erasures.find(database, erasure_id)
        if done.erased_at is None:
            raise StorageUnavailable(
                "the erasure was taken down, but not done yet: another removal is under way. A running server does it"
                " within the hour"
            )
        return done

    done = with_database(work)
    value = {
        "visits": done.visits,
        "events": done.events,
        "erased_at": iso(done.erased_at),
        "wiped_at": iso(done.wiped_at),
    }
    lines = [f"erased {done.visits:,} visits with {done.events:,} events"]
    if done.wiped_at is None:
        lines.append("a reader was in the way of overwriting free space; it is tried again within the hour")
    show(value, as_json, lambda: lines)


async def _store_what_was_sent(timeout_seconds: float) -> None:
    """Nothing that is in the journal now may be stored after the erasure. Raises ApplianceError."""
    from appliance import offline

    await offline.store_what_was_sent(load_settings(), timeout_seconds)
