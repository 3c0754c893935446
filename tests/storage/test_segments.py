"""Saved segments: kept, found again, refused, renamed, deleted."""

import pytest

from appliance.errors import Invalid, NotFound
from appliance.storage import audit, projects, segments

NOW = 1_760_000_000_000_000
GERMAN = [["is", "visit:country", ["DE"]]]


@pytest.fixture
async def project(database):
    return (await projects.create(database, name="Blog", domains=["example.com"], actor="cli", at=NOW)).project.id


async def keep(database, project, name="Germans", filters=GERMAN):
    return await segments.create(database, project, name, filters, actor="ada@example.com", at=NOW)


async def said(database):
    entries = [entry for entry in await audit.recent(database) if entry.action.startswith("segment.")]
    return [(entry.action, entry.subject, entry.detail) for entry in entries]


async def test_segments_are_listed_by_name_and_belong_to_a_project(database, project):
    second = await keep(database, project, "  Germans ")
    first = await keep(database, project, "Desktop", [*GERMAN, ["is", "visit:device", ["Desktop"]]])
    assert await segments.of_project(database, project) == [first, second]
    assert (second.name, second.filters) == ("Germans", tuple(GERMAN))
    other = (await projects.create(database, name="Shop", domains=[], actor="cli", at=NOW)).project.id
    assert await segments.of_project(database, other) == []
    assert await said(database) == [
        ("segment.create", "Desktop", "2 filters"),
        ("segment.create", "Germans", "1 filter"),
    ]


async def test_the_same_segment_again_is_the_same(database, project):
    kept = await keep(database, project)
    assert await keep(database, project) == kept
    with pytest.raises(Invalid) as caught:
        await keep(database, project, filters=[["is", "visit:country", ["FR"]]])
    assert (caught.value.code, caught.value.field) == ("taken", "name")
    assert len(await said(database)) == 1


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", {"name": " "}),
        ("name", {"name": "x" * 101}),
        ("filters", {"filters": []}),
        ("filters", {"filters": [["is", "event:page", ["/" + "x" * 32_000]]]}),
    ],
)
async def test_a_segment_that_cannot_be_is_refused_with_its_field(database, project, field, values):
    with pytest.raises(Invalid) as caught:
        await keep(database, project, **values)
    assert caught.value.field == field
    assert await segments.of_project(database, project) == []


async def test_there_are_not_too_many(database, project, monkeypatch):
    monkeypatch.setattr(segments, "SEGMENTS_MAX", 1)
    await keep(database, project)
    with pytest.raises(Invalid) as caught:
        await keep(database, project, "Another")
    assert caught.value.code == "too_many"


async def test_a_segment_is_renamed(database, project):
    kept = await keep(database, project)
    await keep(database, project, "Taken", [["is", "visit:country", ["FR"]]])
    renamed = await segments.rename(database, project, kept.id, " Deutsche ", actor="ada@example.com", at=NOW)
    assert (renamed.id, renamed.name, renamed.filters) == (kept.id, "Deutsche", kept.filters)
    assert (await said(database))[0] == ("segment.rename", "Deutsche", "Germans")
    assert await segments.rename(database, project, kept.id, "Deutsche", actor="x", at=NOW) == renamed
    for name in ("Taken", "", "x" * 101):
        with pytest.raises(Invalid) as caught:
            await segments.rename(database, project, kept.id, name, actor="x", at=NOW)
        assert caught.value.field == "name"
    with pytest.raises(NotFound):
        await segments.rename(database, project + 1, kept.id, "Other", actor="x", at=NOW)


async def test_a_deleted_segment_is_gone_and_its_id_is_never_given_again(database, project):
    kept = await keep(database, project)
    assert await segments.delete(database, project, kept.id, actor="ada@example.com", at=NOW) == kept
    assert await segments.of_project(database, project) == []
    assert (await said(database))[0] == ("segment.delete", "Germans", "")
    with pytest.raises(NotFound):
        await segments.delete(database, project, kept.id, actor="x", at=NOW)
    assert (await keep(database, project)).id > kept.id
