"""`appliance dead-letters`: events that the database refused."""

from typing import Any

import click

from appliance import clock
from appliance.cli.common import ACTOR, ROW_ID, as_json, iso, show, with_database
from appliance.errors import NotFound
from appliance.ingest.dead_letters import read_letter
from appliance.storage import dead_letters as letters
from appliance.storage.dead_letters import DeadLetter
from appliance.storage.interface import Database

which = click.argument("letter_id", type=ROW_ID, required=False)
everything = click.option("--all", "everything", is_flag=True, help="All of them.")


@click.group("dead-letters")
def dead_letters() -> None:
    """Events that the database refused."""


@dead_letters.command("list")
@click.option("--before", type=ROW_ID, help="Only those with a smaller number.")
@as_json
def list_letters(before: int | None, as_json: bool) -> None:
    """The newest of them, with what the database said."""

    async def work(database: Database) -> list[DeadLetter]:
        return await letters.newest(database, before=before)

    listed = [_shown(letter) for letter in with_database(work)]
    show(
        listed,
        as_json,
        lambda: [f"{one['id']:>6}  {one['at']}  {one['event'] or '?'}  {one['error']}" for one in listed],
    )


@dead_letters.command("retry")
@which
@everything
def retry_letters(letter_id: int | None, everything: bool) -> None:
    """Store one again, by its number, or all; the serving process does it within seconds."""
    _check(letter_id, everything)

    async def work(database: Database) -> int:
        return await letters.ask_to_retry(database, letter_id, actor=ACTOR, at=clock.now())

    click.echo(f"{_some(with_database(work), letter_id)} will be stored again")


@dead_letters.command("delete")
@which
@everything
def delete_letters(letter_id: int | None, everything: bool) -> None:
    """Delete one, by its number, or all, for ever."""
    _check(letter_id, everything)

    async def work(database: Database) -> int:
        return await letters.delete(database, letter_id, actor=ACTOR, at=clock.now())

    click.echo(f"{_some(with_database(work), letter_id)} deleted")


def _some(number: int, letter_id: int | None) -> int:
    """How many it was done to. Raises NotFound where the one that was named is not there."""
    if letter_id is not None and not number:
        raise NotFound("There is no such dead letter.")
    return number


def _check(letter_id: int | None, everything: bool) -> None:
    if (letter_id is None) != everything:
        raise click.UsageError("give the number of one, or --all")


def _shown(letter: DeadLetter) -> dict[str, Any]:
    try:
        name = read_letter(letter.event).name
    except ValueError:
        name = None
    return {
        "id": letter.id,
        "at": iso(letter.at),
        "event": name,
        "error": letter.error,
        "retry_at": iso(letter.retry_at),
    }
