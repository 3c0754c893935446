"""Measures TimescaleDB and plain PostgreSQL beside SQLite: `python -m perf.servers --events 1000000`.

With `--stored` instead how many events a second are stored in batches, beside requests of bare uvicorn.

The servers are Debian's, started by this run, with TimescaleDB where it is installed; on plain PostgreSQL the events
stand in partitions, as rows, with the product's indexes. All engines answer the same dashboards (queries.py), and have
to agree.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from appliance.clock import now
from appliance.rollups.catalog import CATALOG
from appliance.rollups.units import wanted_on_servers
from appliance.storage.postgresql.evaluator import PostgresqlEvaluator
from appliance.storage.postgresql.rollups.job import refresh
from perf import closed_loop
from perf.closed_loop import Load
from perf.dataset import Dataset, make
from perf.figures import table
from perf.ingest import MAIN, loaded, stored_rate
from perf.on_servers import compress, fill
from perf.processes import Appliance, Bare
from perf.queries import QUESTIONS, TIMES, Asked, Ours, question_of
from perf.stored import make_file
from tests.postgresql import has_timescaledb, programs, server

SETTINGS = {"shared_buffers": "2GB", "effective_cache_size": "8GB", "max_wal_size": "8GB", "random_page_cost": "1.1"}


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m perf.servers", description=__doc__)
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--keep", type=Path, metavar="FOLDER", help="a file of perf.queries, made where there is none")
    options.add_argument("--no-file", action="store_true", help="the servers alone: a file of many events takes long")
    options.add_argument("--stored", action="store_true", help="measure storing instead of dashboards")
    options.add_argument("--seconds", type=int, default=20, help="of each load that is stored")
    chosen = options.parse_args()
    if programs() is None:
        raise SystemExit("PostgreSQL is not installed")
    if chosen.stored:
        _measure_storing(chosen.seconds)
        return
    data = make(chosen.events, chosen.seed)
    print(f"{len(data.event['id']):,} events, {len(data.visit['id']):,} visits, load {os.getloadavg()[0]:.2f}")
    with ExitStack() as stack:
        folder = chosen.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="appliance-perf-")))
        path = None if chosen.no_file else folder / "appliance.db"
        if path is not None and not path.exists():
            folder.mkdir(exist_ok=True)
            make_file(path, data)
        urls = {}
        if has_timescaledb():
            urls["TimescaleDB"] = stack.enter_context(_filled(data, timescaledb=True))
        urls["PostgreSQL"] = stack.enter_context(_filled(data, timescaledb=False))
        asyncio.run(_measure(folder, path, urls, data))


@contextmanager
def _filled(data: Dataset, *, timescaledb: bool) -> Iterator[str]:
    """The URL of a database with the dataset, of which all that is over is in the columnstore."""
    with server(timescaledb=timescaledb, **SETTINGS) as started:
        url = started.new_database()
        began = time.perf_counter()
        fill(url, data)
        filled = time.perf_counter()
        if timescaledb:
            compress(url)
        moved = time.perf_counter()
        units = sum(1 for _ in refresh(url, CATALOG, wanted_on_servers, now()))
        with psycopg.connect(url) as connection:
            (nbytes,) = connection.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
        print(
            f"{'TimescaleDB' if timescaledb else 'PostgreSQL'}: filled in {filled - began:.0f} s, moved to columns in"
            f" {moved - filled:.0f} s, {units} rollups made in {time.perf_counter() - moved:.0f} s,"
            f" {nbytes / len(data.event['id']):.1f} bytes an event"
        )
        yield url


def _measure_storing(seconds: int) -> None:
    """Batches of 100 events over 64 connections, without and with ids of the client's."""
    closed_loop.check()
    engines = {"SQLite": None, **({"TimescaleDB": True} if has_timescaledb() else {}), "PostgreSQL": False}
    rows = []
    for kind in ("batch", "batchids"):
        load = Load(kind, 64)
        for name, timescaledb in engines.items():
            with ExitStack() as stack:
                settings = {"rate_limit_address": "0"}
                if timescaledb is not None:
                    # As an operator runs it: a commit that was answered is on the disk.
                    durable = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
                    started = stack.enter_context(server(timescaledb=timescaledb, **SETTINGS, **durable))
                    settings["database_url"] = started.new_database()
                bare, ours = stack.enter_context(Bare()), stack.enter_context(Appliance(**settings))
                limit = closed_loop.run(bare, MAIN, ours.project.public_key, max(2, seconds // 4)).per_second
                found, lag = loaded(ours, load, seconds)
                stored = stored_rate(found, lag)
                cpu = found.cpu_us.get("drain_worker", 0.0) / load.events
                rows.append(
                    (name, kind, f"{stored:,.0f}", f"{lag:.1f}", f"{limit:,.0f}", f"{stored / limit:.2f}", f"{cpu:.1f}")
                )
                print(rows[-1], flush=True)
    head = ("engine", "load", "stored events/s", "lag, s", "bare requests/s", "ratio", "drain CPU µs an event")
    print(table(head, rows))


async def _measure(folder: Path, path: Path | None, urls: dict[str, str], data: Dataset) -> None:
    engines: dict[str, Asked] = {"SQLite": Ours(path)} if path is not None else {}
    for name, url in urls.items():
        temp = folder / f"tmp-{name}"
        engines[name] = Asked(PostgresqlEvaluator(url, temp_directory=temp, timeout_seconds=600))
    rows = []
    for name, filters, days in QUESTIONS:
        asked = [question_of(data, name, filters, days, turn) for turn in range(TIMES)]
        times = {engine: await one.times(asked) for engine, one in engines.items()}
        answers = {repr(one.answers[asked[0].name]) for one in engines.values()}
        if len(answers) != 1:
            raise SystemExit(f"{name}: the engines do not agree: {answers}")
        cells = [f"{1000 * seconds:.0f}" for first_again in times.values() for seconds in first_again]
        ratio = times["TimescaleDB"][0] / times["PostgreSQL"][0] if "TimescaleDB" in times else float("nan")
        rows.append((name, *cells, f"{ratio:.2f}"))
        print(rows[-1], flush=True)
    head = ["dashboard, ms"]
    for engine in engines:
        head += [f"{engine}, first", "again"]
    print(table([*head, "TimescaleDB ÷ PostgreSQL"], rows))
    for one in engines.values():
        await one.close()


if __name__ == "__main__":
    main()
