"""`appliance project`: tracked sites and apps."""

from typing import Any

import click
import msgspec

from appliance import clock
from appliance.cli.common import ACTOR, as_json, find_project, iso, show, with_database
from appliance.model import Project, Sampling, Strategy
from appliance.storage import keys, projects, sampling_fields
from appliance.storage.interface import Database
from appliance.storage.sampling_fields import STRATEGIES


@click.group()
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

    async def work(database: Database) -> projects.NewProject:
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

    made = with_database(work, may_make=True)
    value = _project_json(made.project) | {"public_key": made.public_key.token, "private_key": made.private_key}
    show(
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
    found = with_database(projects.list_all)
    show(
        [_project_json(p) for p in found],
        as_json,
        lambda: [f"{p.public_id}  {p.name}  {', '.join(p.domains)}" for p in found] or ["no projects yet"],
    )


@project.command("show")
@click.argument("which")
@as_json
def project_show(which: str, as_json: bool) -> None:
    """One project by id or domain, with its public keys."""

    async def work(database: Database) -> dict[str, Any]:
        found = await find_project(database, which)
        listed = await keys.list_of(database, found.id)
        return _project_json(found) | {
            "raw_retention_days": found.settings.raw_retention_days,
            "public_keys": [k.token for k in listed if k.token and k.revoked_at is None],
        }

    value = with_database(work)
    show(value, as_json, lambda: [f"{name:12} {shown}" for name, shown in value.items()])


@project.command("set")
@click.argument("which")
@click.option("--raw-retention-days", type=int, help="Days to keep visits and events; 0: for ever.")
@click.option("--rate-limit", type=int, help="Requests in 10 seconds; 0: any number, -1: as the appliance is set.")
@click.option("--quota", type=int, help="Events a calendar month; 0: any number.")
@click.option("--sampling", type=click.Choice(STRATEGIES), help="What decides which events are kept.")
@click.option("--sampling-percent", help="How many of them are kept; with --sampling.")
@as_json
def project_set(
    which: str,
    raw_retention_days: int | None,
    rate_limit: int | None,
    quota: int | None,
    sampling: Strategy | None,
    sampling_percent: str | None,
    as_json: bool,
) -> None:
    """Change what a project (id or domain) keeps and takes. What is not named stays."""
    if (sampling in (None, "none")) != (sampling_percent is None):
        raise click.UsageError("--sampling random, visitor or window and --sampling-percent go together")
    given = {
        "raw_retention_days": raw_retention_days,
        "rate_limit": rate_limit,
        "quota_events_month": quota,
        "sampling": sampling and Sampling(sampling, sampling_fields.rate(sampling_percent or "100")),
    }
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise click.UsageError("say what to change, for instance --raw-retention-days 90")
    if rate_limit == -1:
        changes["rate_limit"] = None

    async def work(database: Database) -> Project:
        found = await find_project(database, which)
        settings = msgspec.structs.replace(found.settings, **changes)
        return await projects.update(database, found, settings=settings, actor=ACTOR, at=clock.now())

    settings = with_database(work).settings
    changed = {name: _shown(getattr(settings, name)) for name in changes}
    show(changed, as_json, lambda: [f"{name:20} {value}" for name, value in changed.items()])


def _shown(value: Any) -> Any:
    if isinstance(value, Sampling):
        return {"strategy": value.strategy, "percent": sampling_fields.percentage(value.rate)}
    return value


@project.command("delete")
@click.argument("which")
@click.option("--yes", is_flag=True, help="Do not ask.")
def project_delete(which: str, yes: bool) -> None:
    """Delete a project: it is hidden at once."""

    async def work(database: Database) -> Project:
        found = await find_project(database, which)
        if not yes:
            click.confirm(f"Delete {found.name} ({found.public_id})?", abort=True)
        await projects.delete(database, found, actor=ACTOR, at=clock.now())
        return found

    click.echo(f"deleted {with_database(work).name}")


def _project_json(found: Project) -> dict[str, Any]:
    return {
        "id": found.public_id,
        "name": found.name,
        "domains": list(found.domains),
        "timezone": found.timezone,
        "currency": found.currency,
        "created_at": iso(found.created_at),
    }
