"""`appliance import`: files of other products, of web servers and of our own."""

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.common import ACTOR, as_json, find_project, iso, load_settings, show
from appliance.cli.progress import Progress
from appliance.errors import ApplianceError

if TYPE_CHECKING:
    from appliance.ingest.imports.run import Tell, Where
    from appliance.model import Project
    from appliance.storage.imports import Counts
    from appliance.storage.interface import Database

_SHOWN_MAX = 20  # refused lines in the text for people


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--project", "which", required=True, help="Id or domain.")
@click.option("--format", "file_format", help="Instead of telling it by the file; a wrong name lists them all.")
@click.option("--source", default="", help="The part of the project that events come from which name none.")
@click.option("--follow", is_flag=True, help="Go on with what is added to the file, also when it is rotated.")
@click.option("--dry-run", is_flag=True, help="Only say what would be imported.")
@as_json
def import_files(files: tuple[Path, ...], as_json: bool, **wanted: Any) -> None:
    """Import files. What was read of a file once is never taken again; an import that was ended goes on."""
    if wanted["follow"] and len(files) > 1:
        raise click.UsageError("One file can be followed at a time.")
    if wanted["follow"] and wanted["dry_run"]:
        raise click.UsageError("--follow and --dry-run do not go together.")
    with Progress("lines", shown=sys.stderr.isatty() and not as_json) as progress:
        results = asyncio.run(_import_all(files, progress, **wanted))
    show(results, as_json, lambda: [line for result in results for line in _lines(result)])
    if any(result["state"] == "failed" for result in results):
        sys.exit(1)


async def _import_all(files: tuple[Path, ...], progress: Progress, which: str, **wanted: Any) -> list[dict[str, Any]]:
    from appliance.ingest.imports.run import Where
    from appliance.storage.open import database_url, opened

    settings = load_settings()
    geo = Path(settings.geo_database) if settings.geo_database else None
    where = Where(settings.data_dir, database_url(settings), geo)
    results = []
    async with opened(settings) as db:
        project = await find_project(db, which)
        for path in files:

            def tell(read: int, total: int, counts: "Counts", label: str = path.name[:40]) -> None:
                progress.tell(label, read, total, counts.lines)

            try:
                results.append(await _import(db, where, project, path, tell, **wanted))
            except ApplianceError as error:
                results.append({"file": str(path), "state": "failed", "error": str(error)})
    return results


async def _import(
    db: "Database",
    where: "Where",
    project: "Project",
    path: Path,
    tell: "Tell",
    *,
    file_format: str | None,
    source: str,
    follow: bool,
    dry_run: bool,
) -> dict[str, Any]:
    from appliance.errors import Invalid
    from appliance.ingest.imports import identify
    from appliance.ingest.imports.run import is_held, run
    from appliance.storage import imports

    look = identify.look_at(path, file_format)
    if dry_run:
        from appliance.ingest.imports.preview import preview

        lines, counts = await preview(db, project, path, look, where.geo, honours=True, tell=tell)
        return {"file": str(path), "state": "dry run", "format": look.format.name, "lines": lines, **_counted(counts)}
    if follow and look.format.records == "csv":
        raise Invalid(f"{look.format.title}: such a file cannot be followed.")
    given = identify.Given(path.name, file_format, source, honours=True, actor=ACTOR)
    found, behind = await identify.register(
        db, project, path, look, given, state="running", is_held=partial(is_held, where.data_dir)
    )
    before = found.counts.stored
    if behind or follow:
        found = await run(db, where, found.id, path, alone=True, follow=follow, tell=tell)
    return {"file": str(path), "added": found.counts.stored - before, **imports.as_object(found)}


def _counted(counts: "Counts") -> dict[str, Any]:
    return {
        "rows": counts.stored,
        "dropped": counts.dropped,
        "refused": counts.refused,
        "faults": [{"line": fault.line, "code": fault.code, "message": fault.message} for fault in counts.faults],
        "first_event_at": iso(counts.first),
        "last_event_at": iso(counts.last),
    }


def _lines(result: dict[str, Any]) -> list[str]:
    name = result["file"]
    if "rows" not in result:
        return [f"{name}: {result['error']}"]
    if result["state"] == "dry run":
        lines = [f"{name}: {result['format']}, {result['lines']:,} new lines, {result['rows']:,} events"]
    else:
        lines = [f"{name}: {result['format']}, {result['state']}, {result['added']:,} events added"]
    if result["first_event_at"]:
        lines.append(f"  from {result['first_event_at']} to {result['last_event_at']}")
    if result.get("duplicates"):
        lines.append(f"  {result['duplicates']:,} were known already")
    lines += [f"  {number:,} left out: {reason}" for reason, number in sorted(result["dropped"].items())]
    if result["refused"]:
        lines.append(f"  {result['refused']:,} refused")
    lines += [f"  line {fault['line']:,}: {fault['message']}" for fault in result["faults"][:_SHOWN_MAX]]
    if result.get("error"):
        lines.append(f"  {result['error']}")
    return lines
