"""`appliance key`: API keys of a project."""

from typing import Any

import click

from appliance import clock
from appliance.cli.common import ACTOR, ROW_ID, as_json, find_project, iso, show, with_database
from appliance.storage import keys
from appliance.storage.interface import Database


@click.group()
def key() -> None:
    """API keys of a project."""


@key.command("create")
@click.argument("which")
@click.option("--kind", type=click.Choice(["public", "private"]), default="private", show_default=True)
@click.option("--name", default="", help="What the key is for.")
@click.option("--scope", "scopes", multiple=True, default=("read",), help="send, read, manage.", show_default=True)
@as_json
def key_create(which: str, kind: str, name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Mint a key for a project (id or domain). A private key is shown once."""

    async def work(database: Database) -> keys.NewKey:
        found = await find_project(database, which)
        return await keys.mint(
            database,
            found.public_id,
            "public" if kind == "public" else "private",
            name=name,
            scopes=scopes if kind == "private" else ("send",),
            actor=ACTOR,
            at=clock.now(),
        )

    made = with_database(work)
    show(
        {"id": made.key.id, "kind": kind, "key": made.token, "scopes": list(made.key.scopes)},
        as_json,
        lambda: [f"{made.token}   (shown only now)" if kind == "private" else made.token],
    )


@key.command("list")
@click.argument("which")
@as_json
def key_list(which: str, as_json: bool) -> None:
    """The keys of a project (id or domain)."""

    async def work(database: Database) -> list[dict[str, Any]]:
        found = await find_project(database, which)
        return [
            {
                "id": k.id,
                "kind": k.kind,
                "name": k.name,
                "prefix": k.prefix,
                "scopes": list(k.scopes),
                "created_at": iso(k.created_at),
                "last_used_at": iso(k.last_used_at),
                "revoked_at": iso(k.revoked_at),
                "expires_at": iso(k.expires_at),
            }
            for k in await keys.list_of(database, found.id)
        ]

    listed = with_database(work)
    show(
        listed,
        as_json,
        lambda: [
            f"{k['id']:>4}  {k['kind']:8} {k['prefix']}…  {' '.join(k['scopes']):18} {_end(k)} {k['name']}".rstrip()
            for k in listed
        ],
    )


def _end(listed: dict[str, Any]) -> str:
    if listed["revoked_at"]:
        return f"revoked {listed['revoked_at']}"
    return f"until {listed['expires_at']}" if listed["expires_at"] else ""


@key.command("rotate")
@click.argument("which")
@click.argument("key_id", type=ROW_ID)
@click.option("--grace-hours", type=click.IntRange(0, keys.GRACE_SECONDS_MAX // 3600), default=0, show_default=True,
              help="For how long the old key still holds.")  # fmt: skip
@as_json
def key_rotate(which: str, key_id: int, grace_hours: int, as_json: bool) -> None:
    """Replace a key of a project (id or domain) by a new one of the same kind, name and scopes."""

    async def work(database: Database) -> keys.NewKey:
        found = await find_project(database, which)
        return await keys.rotate(database, found, key_id, grace_seconds=grace_hours * 3600, actor=ACTOR, at=clock.now())

    made = with_database(work)
    shown = {"id": made.key.id, "kind": made.key.kind, "key": made.token, "scopes": list(made.key.scopes)}
    show(shown, as_json, lambda: [made.token])


@key.command("revoke")
@click.argument("which")
@click.argument("key_id", type=ROW_ID)
def key_revoke(which: str, key_id: int) -> None:
    """End a key of a project (id or domain) by the key's number."""

    async def work(database: Database) -> str:
        found = await find_project(database, which)
        return (await keys.revoke(database, found.id, key_id, actor=ACTOR, at=clock.now())).prefix

    click.echo(f"revoked {with_database(work)}…")
