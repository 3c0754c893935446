"""Sources: made by the events that name them, described and changed by people."""

import pytest

from appliance.clock import DAY
from appliance.errors import Invalid, NotFound
from appliance.ingest.batch import Batch
from appliance.model import ProjectSettings, Sampling, Source, SourceSettings
from appliance.storage import audit, projects, sources
from appliance.storage.catalogue import load_catalogue
from appliance.storage.postgresql import rows as postgresql_rows
from appliance.storage.sqlite import rows as sqlite_rows
from tests.builders import at, event
from tests.engines import AnyDatabase, drain_store

NOW = at(0)


async def site(database: AnyDatabase, name: str = "Site") -> int:
    return (await projects.create(database, name=name, actor="test", at=NOW)).project.id


async def seen(database: AnyDatabase, project_id: int, *received: tuple[str, int]) -> None:
    """Events of these sources, received then, in one batch a day as the drain takes them."""
    store = drain_store(database)
    batch = Batch(lambda _: ProjectSettings())
    for name, moment in received:
        arrived = event(project_id=project_id, source=name, received=moment)
        store.transact(lambda tx, arrived=arrived: batch.apply(tx, [arrived]))
    store.close()


async def change(
    database: AnyDatabase, source: Source, description: str = "", settings: SourceSettings = SourceSettings()
) -> Source:
    return await sources.change(
        database, source, description=description, settings=settings, actor="ada@example.com", at=NOW
    )


async def test_a_source_appears_with_its_first_event_and_is_seen_with_the_others(database: AnyDatabase) -> None:
    number = await site(database)
    other = await site(database, "Other")
    await seen(database, number, ("web", NOW), ("ios", NOW), ("", NOW), ("web", NOW + 5), ("web", NOW + 2 * DAY))
    await seen(database, number, ("ios", NOW - 9 * DAY))  # of a journal that was away
    await seen(database, other, ("web", NOW + DAY))
    found = await sources.of_project(database, number)
    assert [(one.name, one.created_at, one.seen_at) for one in found] == [
        ("ios", NOW, NOW),
        ("web", NOW, NOW + 2 * DAY),
    ]
    assert [one.settings for one in found] == [SourceSettings()] * 2
    assert await sources.find(database, number, found[0].id) == found[0]
    with pytest.raises(NotFound):
        await sources.find(database, other, found[0].id)


async def test_names_that_somebody_makes_up_are_listed_up_to_a_bound(
    database: AnyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sqlite_rows, postgresql_rows):
        monkeypatch.setattr(module, "SOURCES_MAX", 3)
    number = await site(database)
    await seen(database, number, *((f"s{made_up}", NOW) for made_up in range(6)), ("s1", NOW + DAY))
    found = await sources.of_project(database, number)
    assert [(one.name, one.seen_at - NOW) for one in found] == [("s0", 0), ("s1", DAY), ("s2", 0)]


async def test_changes_reach_the_catalogue_and_the_audit_log(database: AnyDatabase) -> None:
    number = await site(database)
    await seen(database, number, ("ios", NOW), ("web", NOW))
    before = await load_catalogue(database)
    assert before.sources == {}
    ios, web = await sources.of_project(database, number)
    tenth = SourceSettings(sampling=Sampling("visitor", 100_000))
    changed = await change(database, ios, "  The\napp ", tenth)
    assert (changed.description, changed.settings) == ("The app", tenth)
    await change(database, web, settings=SourceSettings(off=True))
    after = await load_catalogue(database)
    assert after.version == before.version + 2
    assert after.sources == {number: {"ios": tenth, "web": SourceSettings(off=True)}}
    last, first, *_ = await audit.recent(database)
    assert (first.action, first.actor, first.subject) == ("source.update", "ada@example.com", "ios")
    assert (last.subject, last.detail) == ("web", '{} → {"off":true}')
    await change(database, changed, "The app")
    assert (await load_catalogue(database)).sources == {number: {"web": SourceSettings(off=True)}}


async def test_without_a_difference_nothing_is_written(database: AnyDatabase) -> None:
    number = await site(database)
    await seen(database, number, ("ios", NOW))
    (ios,) = await sources.of_project(database, number)
    written = await audit.count(database)
    assert await change(database, ios, settings=SourceSettings()) == ios
    assert await audit.count(database) == written


@pytest.mark.parametrize(
    ("description", "settings", "field"),
    [
        ("x" * 201, SourceSettings(), "description"),
        ("", SourceSettings(sampling=Sampling("random", 0)), "rate"),
        ("", SourceSettings(sampling=Sampling("random", 1_000_001)), "rate"),
        ("", SourceSettings(sampling=Sampling("sometimes", 5)), "strategy"),  # type: ignore[arg-type]
        ("", SourceSettings(sampling=Sampling("window", 5, 9)), "period_seconds"),
        ("", SourceSettings(sampling=Sampling("window", 5, 86_401)), "period_seconds"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_field(
    database: AnyDatabase, description: str, settings: SourceSettings, field: str
) -> None:
    number = await site(database)
    await seen(database, number, ("ios", NOW))
    (ios,) = await sources.of_project(database, number)
    with pytest.raises(Invalid) as refused:
        await change(database, ios, description, settings)
    assert refused.value.field == field
    assert await sources.of_project(database, number) == [ios]


async def test_a_source_that_is_gone_cannot_be_changed(database: AnyDatabase) -> None:
    gone = Source(7, 1, "gone", "", SourceSettings(), NOW, NOW)
    with pytest.raises(NotFound):
        await change(database, gone, "x")
