"""DuckDB as the evaluator: an in-memory database that cannot reach anything outside. For the query worker only."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import msgspec

from appliance.storage.evaluation import Answer, Rows, Step

Parameters = dict[str, int | list[int] | list[str]]


DUCKDB_BYTES_MIN: Final = 128 << 20  # with 64 MB a wide question over sampled data may fail, however few rows there are


def open_duckdb(temp_directory: Path, *, memory_bytes: int, threads: int) -> Any:
    """A connection whose settings are locked: no files but its own temporary ones, no extensions, no network.

    It has DUCKDB_BYTES_MIN at least.
    """
    memory_bytes = max(memory_bytes, DUCKDB_BYTES_MIN)
    return duckdb.connect(
        ":memory:",
        config={
            "enable_external_access": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
            "preserve_insertion_order": "false",
            "temp_directory": str(temp_directory),
            "memory_limit": f"{memory_bytes}B",
            "threads": str(threads),
            "lock_configuration": "true",
        },
    )


class NotASelect(Exception):
    """A plan's statement is something else than one SELECT."""


class Prepared(NamedTuple):
    """A step with the values of its parameters. `show` makes the tables that it alone reads: once, or, `in_parts`,
    each time that it is asked for the next one, those of another part of the visits."""

    step: Step
    parameters: Parameters
    show: Callable[[], Iterator[None]]
    in_parts: bool = False


def run_steps(duck: Any, steps: list[Prepared], check: Any) -> Answer:
    """The rows of every report of every step; `check()` is called between statements and may raise."""
    answer: Answer = []
    for step, parameters, show, in_parts in steps:
        if not all(name.isidentifier() for name, _ in step.relations):
            raise NotASelect("a relation's name is no name")
        by_part = step.relations[: step.by_visit] if in_parts else ()
        others = step.relations[len(by_part) :]
        inline = ", ".join(f'"{name}" AS ({select})' for name, select in others) if step.inline else ""
        try:
            for part, _ in enumerate(show()):
                for name, select in by_part:
                    check()
                    before = f'INSERT INTO "{name}" ' if part else f'CREATE OR REPLACE TEMP TABLE "{name}" AS '
                    _execute(duck, select, parameters, before)
            for name, select in () if step.inline else others:
                check()
                _execute(duck, select, parameters, f'CREATE OR REPLACE TEMP TABLE "{name}" AS ')
            reports: list[Rows] = []
            for select in step.reports:
                check()
                text = f"WITH {inline} {select}" if inline and not reports else select
                # Everything is fetched: an unfinished result would block its connection.
                reports.append(_execute(duck, text, parameters).fetchall())
            answer.append(reports)
        finally:
            for name, _ in step.relations:
                # An interruption may hit this too; then the next table of that name replaces it.
                with suppress(duckdb.Error):
                    duck.execute(f'DROP TABLE IF EXISTS "{name}"')
    return answer


def _execute(duck: Any, select: str, parameters: Parameters, before: str = "") -> Any:
    statements = duck.extract_statements(select)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise NotASelect(select[:80])
    used = {name: parameters[name] for name in statements[0].named_parameters}
    return duck.execute(before + select if before else statements[0], used)


def fingerprint(step: Step) -> bytes:
    """What an answer to a step is kept under."""
    return blake2b(msgspec.msgpack.encode(step), digest_size=20).digest()
