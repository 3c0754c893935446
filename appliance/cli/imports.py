"""`appliance import`: files of other products, of web servers and of our own."""

import asyncio
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.common import ACTOR, as_json, find_project, iso, load_settings, show
from appliance.cli.progress import Progress
from appliance.config import Settings, optional_path
from appliance.errors import ApplianceError

if TYPE_CHECKING:
    from appliance.model import Project
    from appliance.storage.imports import Counts, Import
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
    broken = ("failed",) if wanted["follow"] else ("failed", "stopped")
    if any(result["state"] in broken for result in results):
        sys.exit(1)


async def _import_all(files: tuple[Path, ...], progress: Progress, which: str, **wanted: Any) -> list[dict[str, Any]]:
    from appliance.ingest.geo import locator_of
    from appliance.storage.open import opened

    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    settings = load_settings()
    locator_of(settings.geo_database)  # said before anything has begun
    results: list[dict[str, Any]] = []
    async with opened(settings) as db:
        project = await find_project(db, which)
        for path in files:
            importing = _Import(settings, db, project, path, progress, **wanted)
            try:
                await importing.work(results)
            except ApplianceError as error:
                results.append({"file": str(path), "state": "failed", "error": str(error)})
            except asyncio.CancelledError:
                # Asked to end: what was read is stored, and said.
                task.uncancel()
                results += [await importing.so_far()]
                break
    return results


class _Import:
    """One file, or while it is followed, those that came in its place."""

    def __init__(
        self,
        settings: Settings,
        db: "Database",
        project: "Project",
        path: Path,
        progress: Progress,
        *,
        file_format: str | None,
        source: str,
        follow: bool,
        dry_run: bool,
    ) -> None:
        from appliance.ingest.imports.run import Where
        from appliance.storage.open import database_url

        files = (optional_path(settings.geo_database), optional_path(settings.datacentre_ranges))
        self._where = Where(settings.data_dir, database_url(settings), *files)
        self._db = db
        self._project = project
        self._path = path
        self._progress = progress
        self._file_format = file_format
        self._source = source
        self._follow = follow
        self._dry_run = dry_run
        self._id = ""
        self._before = 0

    async def work(self, results: list[dict[str, Any]]) -> None:
        """Add what became of each file, as soon as it is known. Raises ApplianceError."""
        if self._dry_run:
            results.append(await self._preview())
            return
        while True:
            while self._follow and (not self._path.exists() or not self._path.stat().st_size):
                await asyncio.sleep(0.5)
            results.append(await self._take())
            if not self._follow:
                return

    async def so_far(self) -> dict[str, Any]:
        """What became of the file that is being read."""
        from appliance.storage import imports

        found = await imports.find(self._db, self._id) if self._id else None
        if found is None:
            return {"file": str(self._path), "state": "stopped", "error": "nothing was read yet"}
        return self._result(found)

    async def _take(self) -> dict[str, Any]:
        from appliance.errors import Invalid
        from appliance.ingest.imports import identify
        from appliance.ingest.imports.run import is_held, run

        look = identify.look_at(self._path, self._file_format)
        if self._follow and look.format.records == "csv":
            raise Invalid(f"{look.format.title}: such a file cannot be followed.")
        given = identify.Given(self._path.name, self._file_format, self._source, honours=True, actor=ACTOR)
        found, behind = await identify.register(
            self._db,
            self._project,
            self._path,
            look,
            given,
            state="running",
            is_held=partial(is_held, self._where.data_dir),
        )
        self._id, self._before = found.id, found.counts.stored
        if behind or self._follow:
            found = await run(
                self._db, self._where, found.id, self._path, alone=True, follow=self._follow, tell=self._tell
            )
        return self._result(found)

    async def _preview(self) -> dict[str, Any]:
        from appliance.ingest.imports import identify
        from appliance.ingest.imports.preview import preview

        look = identify.look_at(self._path, self._file_format)
        lines, counts = await preview(
            self._db, self._project, self._path, look, self._where, honours=True, tell=self._tell
        )
        said = {"file": str(self._path), "state": "dry run", "format": look.format.name, "lines": lines}
        return said | _counted(counts)

    def _result(self, found: "Import") -> dict[str, Any]:
        from appliance.storage import imports

        return {
            "file": str(self._path),
            "added": found.counts.stored - self._before,
            **imports.as_object(found),
        }

    def _tell(self, read: int, total: int, counts: "Counts") -> None:
        self._progress.tell(self._path.name[:40], read, total, counts.lines)


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
