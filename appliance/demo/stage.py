"""What the visitors need before they come: projects with keys, and an account to look at them with."""

import secrets
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from appliance import clock
from appliance.config import Settings
from appliance.demo import ledger
from appliance.demo.manual import MANUAL
from appliance.demo.shop import SHOP
from appliance.demo.world import World
from appliance.model import Project
from appliance.storage import accounts, goals, keys, project_fields, projects
from appliance.storage.interface import Database
from appliance.storage.open import opened

ACTOR = "demo"
EMAIL = "demo@example.com"
WORLDS = (SHOP, MANUAL)


class Scene(NamedTuple):
    """A project and the world that plays in it. `made_on` is the local day on which the project was made."""

    world: World
    project_id: str
    key: str
    made_on: date


class Stage(NamedTuple):
    """`login` is (e-mail, password), None where the appliance has accounts of its own."""

    scenes: tuple[Scene, ...]
    login: tuple[str, str] | None


async def build(settings: Settings, domain: str | None = None) -> Stage:
    """Find or make the projects (with `domain` that one alone) and, where there is no account at all, the account.

    Works beside a running server. Raises Invalid where `domain` is none.
    """
    async with opened(settings, may_make=True) as database:
        scenes = [await _scene(database, world) for world in _cast(domain)]
        return Stage(tuple(scenes), await _login(database, settings))


def _cast(domain: str | None) -> Sequence[World]:
    if domain is None:
        return WORLDS
    host = project_fields.domain(domain)
    known = next((world for world in WORLDS if world.domain == host), SHOP._replace(name=host, domain=host))
    return (known._replace(share=1.0),)


async def _scene(database: Database, world: World) -> Scene:
    project = await projects.by_domain(database, world.domain)
    if project is None:
        made = await projects.create(
            database,
            name=world.name,
            domains=(world.domain,),
            timezone=world.timezone,
            currency=world.currency,
            actor=ACTOR,
            at=clock.now(),
        )
        project = made.project
        for kind, pattern, name in world.goals:
            await goals.create(database, project.id, kind, pattern, name=name, actor=ACTOR, at=clock.now())
    world = world._replace(timezone=project.timezone, currency=project.currency)
    made_at = datetime.fromtimestamp(project.created_at / clock.MICROSECONDS, UTC)
    made_on = made_at.astimezone(ZoneInfo(world.timezone)).date()
    return Scene(world, project.public_id, await _key(database, project), made_on)


async def _key(database: Database, project: Project) -> str:
    key = await keys.current_public(database, project.id)
    if key is None:
        at = clock.now()
        return (await keys.mint(database, project.public_id, "public", name="demo", actor=ACTOR, at=at)).token
    assert key.token  # public keys have one
    return key.token


async def _login(database: Database, settings: Settings) -> tuple[str, str] | None:
    """The login of the account that a demonstration made, now or at an earlier start."""
    known = ledger.read(settings.data_dir)
    if not settings.admin_email and not await accounts.any_exist(database):
        known.email, known.password = EMAIL, secrets.token_urlsafe(12)
        ledger.write(settings.data_dir, known)
        await accounts.create(
            database, email=EMAIL, password=known.password, name="Demo", only_first=True, actor=ACTOR, at=clock.now()
        )
    if known.email and await accounts.authenticate(database, known.email, known.password):
        return known.email, known.password
    return None
