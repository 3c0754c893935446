"""The command line: parse, call, print. Every command but `serve` works beside a running server."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from appliance import __version__, clock, config
from appliance.config import Settings
from appliance.demo.command import demo
from appliance.errors import ApplianceError, NotFound
from appliance.model import Project
from appliance.storage import accounts, keys, project_fields, projects
from appliance.storage.open import database_path, opened
from appliance.storage.sqlite.database import SqliteDatabase

T = TypeVar("T")
ACTOR = "cli"

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def main() -> None:
    """Entry point: an error of ours is one line on standard error and exit code 1."""
    try:
        cli(prog_name="appliance")
    except ApplianceError as error:
        click.echo(f"appliance: {error}", err=True)
        sys.exit(1)


@click.group(context_settings={"max_content_width": 100})
@click.version_option(__version__)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Data folder (APPLIANCE_DATA_DIR).")
@click.pass_context
def cli(context: click.Context, data_dir: Path | None) -> None:
    """Self-hosted analytics in one process."""
    context.obj = data_dir


def _settings(**flags: Any) -> Settings:
    context = click.get_current_context()
    data_dir = context.find_root().obj
    return config.load(**({"data_dir": data_dir} if data_dir else {}) | flags)


def _with_database(work: Callable[[SqliteDatabase], Awaitable[T]]) -> T:
    async def run() -> T:
        async with opened(_settings()) as database:
            return await work(database)

    return asyncio.run(run())


def _print(value: Any, as_json: bool, lines: Callable[[], list[str]]) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2) if as_json else "\n".join(lines()))


def _iso(time: int | None) -> str | None:
    return None if time is None else datetime.fromtimestamp(time / 1e6, UTC).isoformat(timespec="seconds")


# ---------------------------------------------------------------------- serve


def _setting_options(command: Callable[..., None]) -> Callable[..., None]:
    for info in reversed(config.table()):
        if info.name == "data_dir":
            continue
        flag = "--" + info.name.replace("_", "-")
        command = click.option(flag, info.name, help=f"{info.help} [{info.variable}]")(command)
    return command


@cli.command()
@_setting_options
def serve(**flags: Any) -> None:
    """Serve until asked to stop."""
    from appliance.serve import serve as run  # heavy, and only this command needs it

    run(_settings(**{name: value for name, value in flags.items() if value is not None}))


# ---------------------------------------------------------------------- projects


@cli.group()
def project() -> None:
    """Tracked sites and apps."""


@project.command("create")
@click.argument("name")
@click.option("--domain", "domains", multiple=True, help="A host name; may be given several times.")
@click.option("--timezone", default="UTC", show_default=True, help="IANA name, e.g. Europe/Berlin.")
@click.option("--currency", default="EUR", show_default=True, help="ISO 4217 code.")
@as_json
def project_create(name: str, domains: tuple[str, ...], timezone: str, currency: str, as_json: bool) -> None:
    """Make a project with a public key, and a private key with all scopes, which is shown once."""

    async def work(database: SqliteDatabase) -> projects.NewProject:
        return await projects.create(
            database,
            name=name,
            domains=domains,
            timezone=timezone,
            currency=currency,
            private_key=True,
            actor=ACTOR,
            at=clock.now(),
        )

    made = _with_database(work)
    value = _project_json(made.project) | {"public_key": made.public_key.token, "private_key": made.private_key}
    _print(
        value,
        as_json,
        lambda: [
            f"project      {made.project.public_id}  {made.project.name}",
            f"public key   {made.public_key.token}",
            f"private key  {made.private_key}   (shown only now)",
        ],
    )


@project.command("list")
@as_json
def project_list(as_json: bool) -> None:
    """All projects."""
    found = _with_database(projects.list_all)
    _print(
        [_project_json(p) for p in found],
        as_json,
        lambda: [f"{p.public_id}  {p.name}  {', '.join(p.domains)}" for p in found] or ["no projects yet"],
    )


@project.command("show")
@click.argument("which")
@as_json
def project_show(which: str, as_json: bool) -> None:
    """One project by id or domain, with its public keys."""

    async def work(database: SqliteDatabase) -> dict[str, Any]:
        found = await _find_project(database, which)
        listed = await keys.list_of(database, found.id)
        return _project_json(found) | {"public_keys": [k.token for k in listed if k.token and k.revoked_at is None]}

    value = _with_database(work)
    _print(value, as_json, lambda: [f"{name:12} {shown}" for name, shown in value.items()])


@project.command("delete")
@click.argument("which")
@click.option("--yes", is_flag=True, help="Do not ask.")
def project_delete(which: str, yes: bool) -> None:
    """Delete a project: it is hidden at once."""

    async def work(database: SqliteDatabase) -> Project:
        found = await _find_project(database, which)
        if not yes:
            click.confirm(f"Delete {found.name} ({found.public_id})?", abort=True)
        await projects.delete(database, found, actor=ACTOR, at=clock.now())
        return found

    click.echo(f"deleted {_with_database(work).name}")


async def _find_project(database: SqliteDatabase, which: str) -> Project:
    found = await projects.by_public_id(database, which)
    if found is None:
        try:
            found = await projects.by_domain(database, project_fields.domain(which))
        except ApplianceError:
            found = None
    if found is None:
        raise NotFound(f"there is no project {which!r}; give an id or a domain (appliance project list)")
    return found


def _project_json(found: Project) -> dict[str, Any]:
    return {
        "id": found.public_id,
        "name": found.name,
        "domains": list(found.domains),
        "timezone": found.timezone,
        "currency": found.currency,
        "created_at": _iso(found.created_at),
    }


# ---------------------------------------------------------------------- keys


@cli.group()
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

    async def work(database: SqliteDatabase) -> keys.NewKey:
        found = await _find_project(database, which)
        return await keys.mint(
            database,
            found.public_id,
            "public" if kind == "public" else "private",
            name=name,
            scopes=scopes if kind == "private" else ("send",),
            actor=ACTOR,
            at=clock.now(),
        )

    made = _with_database(work)
    _print(
        {"id": made.key.id, "kind": kind, "key": made.token, "scopes": list(made.key.scopes)},
        as_json,
        lambda: [f"{made.token}   (shown only now)" if kind == "private" else made.token],
    )


@key.command("list")
@click.argument("which")
@as_json
def key_list(which: str, as_json: bool) -> None:
    """The keys of a project (id or domain)."""

    async def work(database: SqliteDatabase) -> list[dict[str, Any]]:
        found = await _find_project(database, which)
        return [
            {
                "id": k.id,
                "kind": k.kind,
                "name": k.name,
                "prefix": k.prefix,
                "scopes": list(k.scopes),
                "created_at": _iso(k.created_at),
                "last_used_at": _iso(k.last_used_at),
                "revoked_at": _iso(k.revoked_at),
            }
            for k in await keys.list_of(database, found.id)
        ]

    listed = _with_database(work)
    _print(
        listed,
        as_json,
        lambda: [
            f"{k['id']:>4}  {k['kind']:8} {k['prefix']}…  {' '.join(k['scopes']):18} "
            f"{'revoked ' + k['revoked_at'] if k['revoked_at'] else ''} {k['name']}".rstrip()
            for k in listed
        ],
    )


@key.command("revoke")
@click.argument("which")
@click.argument("key_id", type=int)
def key_revoke(which: str, key_id: int) -> None:
    """End a key of a project (id or domain) by the key's number."""

    async def work(database: SqliteDatabase) -> str:
        found = await _find_project(database, which)
        return (await keys.revoke(database, found.id, key_id, actor=ACTOR, at=clock.now())).prefix

    click.echo(f"revoked {_with_database(work)}…")


# ---------------------------------------------------------------------- users


@cli.group()
def user() -> None:
    """Accounts that can log in."""


@user.command("create")
@click.argument("email")
@click.option("--name", default="")
@click.option("--role", type=click.Choice(["owner", "admin", "viewer"]), default="owner", show_default=True)
@click.password_option(help="Asked for when not given.")
@as_json
def user_create(email: str, name: str, role: Any, password: str, as_json: bool) -> None:
    """Make an account."""

    async def work(database: SqliteDatabase) -> Any:
        return await accounts.create(
            database, email=email, password=password, name=name, role=role, actor=ACTOR, at=clock.now()
        )

    made = _with_database(work)
    _print(
        {"id": made.id, "email": made.email, "role": made.role},
        as_json,
        lambda: [f"created {made.email} ({made.role})"],
    )


@user.command("list")
@as_json
def user_list(as_json: bool) -> None:
    """All accounts."""
    found = _with_database(accounts.list_all)
    _print(
        [{"id": a.id, "email": a.email, "name": a.name, "role": a.role} for a in found],
        as_json,
        lambda: [f"{a.email}  {a.role}  {a.name}".rstrip() for a in found] or ["no accounts yet"],
    )


@user.command("passwd")
@click.argument("email")
@click.password_option(help="Asked for when not given.")
def user_passwd(email: str, password: str) -> None:
    """Set an account's password; its login sessions end."""

    async def work(database: SqliteDatabase) -> None:
        found = await accounts.by_email(database, email)
        if found is None:
            raise NotFound(f"there is no account {email!r}")
        await accounts.set_password(database, found, password, actor=ACTOR, at=clock.now())

    _with_database(work)
    click.echo("password set")


# ---------------------------------------------------------------------- operation


@cli.command()
@as_json
def status(as_json: bool) -> None:
    """What is stored, and how far the journal is drained."""

    from appliance import offline

    value = asyncio.run(offline.status(_settings()))

    def lines() -> list[str]:
        shown = [
            f"database  {value['database']}  {value['database_bytes']:,} bytes",
            f"journal   {value['journal_backlog_bytes']:,} bytes not drained yet",
        ]
        return shown + [
            f"{p['name']}: {p['events']:,} events, {p['pageviews']:,} pageviews, {p['visits']:,} visits, "
            f"{p['visitors']:,} visitors"
            for p in value["projects"]
        ]

    _print(value, as_json, lines)


@cli.command()
@click.argument("which")
@click.option("--metrics", default="", help="With commas between; those of the overview unless given.")
@click.option("--dimensions", default="", help="With commas between.")
@click.option("--date-range", default="30d", show_default=True, help="A name, or two dates with a comma.")
@click.option("--filters", default="", help="JSON, as in a query.")
@as_json
def verify(which: str, as_json: bool, **wanted: str) -> None:
    """Count figures again over the stored events, and show both. Exit code 1 where they differ."""
    from appliance import offline

    async def work(database: SqliteDatabase) -> dict[str, Any]:
        return await offline.verify(_settings(), database, await _find_project(database, which), wanted)

    value = _with_database(work)

    def lines() -> list[str]:
        return [
            f"{'ok  ' if row['equal'] else 'WRONG'} {' | '.join(row['dimensions'])} {name}: {answer} counted {count}"
            for row in value["results"]
            for name, answer, count in zip(
                value["metrics"],
                row["metrics"] or [None] * len(value["metrics"]),
                row["recounted"] or [None] * len(value["metrics"]),
                strict=True,
            )
        ]

    _print(value, as_json, lines)
    if not value["equal"]:
        sys.exit(1)


@cli.command()
def migrate() -> None:
    """Bring the database to this version's schema; a copy is made before."""

    async def work(database: SqliteDatabase) -> int:
        rows = await database.read("PRAGMA user_version")
        return int(rows[0][0])

    click.echo(f"{database_path(_settings())} has schema version {_with_database(work)}")


@cli.command()
@click.option("--timeout", "timeout_seconds", type=float, default=300.0, show_default=True)
def drain(timeout_seconds: float) -> None:
    """Empty the journal into the database: by oneself, or by waiting for the server that runs."""
    from appliance.offline import drain_journal

    remaining = asyncio.run(drain_journal(_settings(), timeout_seconds))
    if remaining:
        raise ApplianceError(f"{remaining:,} bytes of the journal are left after {timeout_seconds:g} seconds")
    click.echo("the journal is empty")


cli.add_command(demo)
