"""Numbers of events by project, source and name in slots of five minutes, hours and UTC days, for whoever asks the
database by itself. What the appliance answers is counted from units (rollups/).

With TimescaleDB they are continuous aggregates, each made of the one before; without it plain views of the same names,
which count when they are asked. They have what `event` has, by codes. Views on top say it in words, and add what was
counted of events that are purged.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final, NamedTuple

import psycopg

from appliance.clock import DAY, HOUR
from appliance.model import Kind
from appliance.storage.dimensions import DICTIONARIES, label_of_missing
from appliance.storage.postgresql.connection import storage_errors, work_connection
from appliance.storage.postgresql.partitions import SETTLED, is_partitioned
from appliance.storage.projects import LIVE
from appliance.storage.rollup import SLOT


class Grain(NamedTuple):
    """The aggregate of one width of buckets (microseconds), and the view that says it in words."""

    aggregate: str
    view: str
    width: int


# In the order in which they are made of each other.
GRAINS: Final = (
    Grain("event_counts_5min", "events_per_5min", SLOT),
    Grain("event_counts_hourly", "events_per_hour", HOUR),
    Grain("event_counts_daily", "events_per_day", DAY),
)
KEY: Final = "project_id, source, name, kind, rate"

# So recent events are counted when somebody asks: most of what comes late comes within that time, and is seen at once.
RECENT: Final = HOUR

# To be asked where the extension is.
SELECT_CONTINUOUS: Final = "SELECT c.view_name FROM timescaledb_information.continuous_aggregates c"
SELECT_TABLES: Final = (
    "SELECT format('%I.%I', c.materialization_hypertable_schema, c.materialization_hypertable_name)"
    " FROM timescaledb_information.continuous_aggregates c"
)
_VERSION: Final = (
    "SELECT CAST(string_to_array(split_part(e.extversion, '-', 1), '.') AS INTEGER[])"
    " FROM pg_extension e WHERE e.extname = 'timescaledb'"
)
# From this version on a refresh is done ten buckets at a time, and may leave a part of what changed to the next one
# (seen with 2.28.3); as one it leaves nothing.
_IN_BATCHES_SINCE: Final = [2, 28]
_AS_ONE: Final = """, options => '{"buckets_per_batch": 0}'"""
_LOCK: Final = 0x61676772  # of PostgreSQL's advisory locks; held while aggregates are refreshed

_IN_WORDS: Final = f"""
    CREATE VIEW {{view}} AS
    SELECT to_timestamp(c.bucket / 1000000) AS bucket, project.public_id AS project, project.name AS project_name,
           coalesce(source.text, '{label_of_missing("source")}') AS source,
           CASE c.kind WHEN {Kind.PAGEVIEW:d} THEN 'pageview' ELSE name.text END AS event,
           CASE c.kind WHEN {Kind.PAGEVIEW:d} THEN 'pageview' ELSE 'custom' END AS kind,
           c.events AS events, trim_scale(c.events * 1000000.0 / c.rate) AS estimated, c.bucket AS start
    FROM project CROSS JOIN LATERAL (
        SELECT a.bucket, a.source, a.name, a.kind, a.rate, a.events FROM {{aggregate}} a
        WHERE a.project_id = project.id
        UNION ALL
        SELECT {{bucket}}, p.source, p.name, p.kind, p.rate, CAST(sum(p.events) AS BIGINT) FROM purged_count p
        WHERE p.project_id = project.id GROUP BY 1, 2, 3, 4, 5) c
    LEFT JOIN dictionary source ON source.project_id = project.id
        AND source.dimension = {DICTIONARIES["source"]} AND source.code = c.source
    LEFT JOIN dictionary name ON name.project_id = project.id
        AND name.dimension = {DICTIONARIES["name"]} AND name.code = c.name
    WHERE {LIVE}
    """

Connection = psycopg.Connection[tuple[Any, ...]]


def bucket_of(time: str, width: int) -> str:
    """The start of a column's bucket, as SQL; division alone would go towards 1970."""
    return f"({time} - mod(mod({time}, {width}) + {width}, {width}))"


def make_aggregates(connection: Connection) -> None:
    """Make those that are missing, in the transaction that is open. A migration that changes one drops it before."""
    continuous = not is_partitioned(connection, "event")
    source, time, events = "event", "time", "count(*)"
    for grain in GRAINS:
        if connection.execute("SELECT to_regclass(%s)", (grain.aggregate,)).fetchone() == (None,):
            made = _continuous(grain, source, time, events) if continuous else _plain(grain)
            for statement in (*made, _IN_WORDS.format(**grain._asdict(), bucket=bucket_of("p.bucket", grain.width))):
                connection.execute(statement.encode())
        source, time, events = grain.aggregate, "bucket", "CAST(sum(events) AS BIGINT)"


def _plain(grain: Grain) -> Iterator[str]:
    bucket = bucket_of("time", grain.width)
    yield f"""
        CREATE VIEW {grain.aggregate} AS
        SELECT {bucket} AS bucket, {KEY}, count(*) AS events FROM event GROUP BY 1, {KEY}
        """


def _continuous(grain: Grain, source: str, time: str, events: str) -> Iterator[str]:
    name = grain.aggregate
    yield f"""
        CREATE MATERIALIZED VIEW {name}
        WITH (timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false)
        AS SELECT time_bucket(CAST({grain.width} AS BIGINT), {time}) AS bucket, {KEY}, {events} AS events
        FROM {source} GROUP BY 1, {KEY} WITH NO DATA
        """
    yield f"CREATE INDEX ON {name} (project_id, bucket)"
    yield f"""
        ALTER MATERIALIZED VIEW {name} SET
        (timescaledb.enable_columnstore, timescaledb.segmentby = 'project_id', timescaledb.orderby = 'bucket')
        """
    yield f"CALL add_columnstore_policy('{name}', after => CAST({SETTLED:d} AS BIGINT))"


def refresh_aggregates(url: str, now: int, *, rebuild: bool = False) -> None:
    """Count anew what was stored or removed since in buckets that are over; or all, with the same result.

    Plain views need nothing. Of several appliances one does it at a time. `now` is in UTC microseconds. Raises
    StorageUnavailable.
    """
    with storage_errors(), closing(work_connection(url)) as connection:
        version = connection.execute(_VERSION).fetchone()
        if version is None:
            return
        continuous = {name for (name,) in connection.execute(SELECT_CONTINUOUS)}
        more = _AS_ONE if version[0] >= _IN_BATCHES_SINCE else ""
        more += ", force => true" if rebuild else ""
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        for grain in GRAINS:
            if grain.aggregate in continuous:
                window = f"NULL, CAST({now - RECENT:d} AS BIGINT)"
                connection.execute(f"CALL refresh_continuous_aggregate('{grain.aggregate}', {window}{more})".encode())
