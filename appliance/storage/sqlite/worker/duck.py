"""DuckDB as the evaluator: an in-memory database that cannot reach anything outside. For the query worker only."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from appliance.storage.evaluation import Answer, Rows, Step

Parameters = dict[str, int | list[int] | list[str]]


def open_duckdb(temp_directory: Path, *, memory_mb: int, threads: int) -> Any:
    """A connection whose settings are locked: no files but its own temporary ones, no extensions, no network."""
    return duckdb.connect(
        ":memory:",
        config={
            "enable_external_access": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
            "preserve_insertion_order": "false",
            "temp_directory": str(temp_directory),
            "memory_limit": f"{memory_mb}MB",
            "threads": str(threads),
            "lock_configuration": "true",
        },
    )


class NotASelect(Exception):
    """A plan's statement is something else than one SELECT."""


class Prepared(NamedTuple):
    """A step with the values of its parameters; `show` makes the tables that it alone reads."""

    step: Step
    parameters: Parameters
    show: Callable[[], None]


def run_steps(duck: Any, steps: list[Prepared], check: Any) -> Answer:
    """The rows of every report of every step; `check()` is called between statements and may raise."""
    answer: Answer = []
    for step, parameters, show in steps:
        show()
        if not all(name.isidentifier() for name, _ in step.relations):
            raise NotASelect("a relation's name is no name")
        try:
            for name, select in step.relations:
                check()
                _execute(duck, select, parameters, f'CREATE OR REPLACE TEMP TABLE "{name}" AS ')
            reports: list[Rows] = []
            for select in step.reports:
                check()
                # Everything is fetched: an unfinished result would block its connection.
                reports.append(_execute(duck, select, parameters).fetchall())
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
