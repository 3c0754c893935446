"""`appliance user`: accounts that can log in."""

from typing import Any

import click

from appliance import clock
from appliance.cli.common import ACTOR, as_json, show, with_database
from appliance.errors import NotFound
from appliance.storage import accounts
from appliance.storage.interface import Database


@click.group()
def user() -> None:
    """Accounts that can log in."""


@user.command("create")
@click.argument("email")
@click.option("--name", default="")
@click.option("--role", type=click.Choice(accounts.ROLES), default="owner", show_default=True)
@click.password_option(help="Asked for when not given.")
@as_json
def user_create(email: str, name: str, role: Any, password: str, as_json: bool) -> None:
    """Make an account."""

    async def work(database: Database) -> Any:
        return await accounts.create(
            database, email=email, password=password, name=name, role=role, actor=ACTOR, at=clock.now()
        )

    made = with_database(work, may_make=True)
    show(
        {"id": made.id, "email": made.email, "role": made.role},
        as_json,
        lambda: [f"created {made.email} ({made.role})"],
    )


@user.command("list")
@as_json
def user_list(as_json: bool) -> None:
    """All accounts."""
    found = with_database(accounts.list_all)
    show(
        [{"id": a.id, "email": a.email, "name": a.name, "role": a.role} for a in found],
        as_json,
        lambda: [f"{a.email}  {a.role}  {a.name}".rstrip() for a in found] or ["no accounts yet"],
    )


@user.command("passwd")
@click.argument("email")
@click.password_option(help="Asked for when not given.")
def user_passwd(email: str, password: str) -> None:
    """Set an account's password; its login sessions end."""

    async def work(database: Database) -> None:
        found = await accounts.by_email(database, email)
        if found is None:
            raise NotFound(f"there is no account {email!r}")
        await accounts.set_password(database, found, password, actor=ACTOR, at=clock.now())

    with_database(work)
    click.echo("password set")
