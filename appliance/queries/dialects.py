"""What one database says differently from the other. Everything else in `sql.py` is text that both run."""

from typing import Final, Protocol

from appliance.storage.dimensions import CARRIED


class Dialect(Protocol):
    """The spelling of one SQL database."""

    carried: frozenset[str]
    """Columns of visits that `event` has as well."""

    def parameter(self, name: str) -> str:
        """A bound value."""
        ...

    def table(self, name: str) -> str:
        """`event` or `visit`, with the rows of the project asked about alone, or what of them rollups do not speak of
        (`rest_event`, `rest_visit`), or the tables of a rollup (storage/evaluation.py); takes an alias."""
        ...

    def dictionary(self, number: int | str) -> str:
        """Relation (code, text) of a dictionary; takes an alias."""
        ...

    def quotient(self, dividend: str, divisor: str) -> str:
        """Division of whole numbers, rounded down; both are >= 0."""
        ...

    def by_bytes(self, text: str) -> str:
        """A text as an order key: by its UTF-8 bytes."""
        ...

    def among(self, name: str) -> str:
        """What follows an expression that is one of the codes of a bound list."""
        ...

    def not_among(self, name: str) -> str:
        """What follows one that is none of them."""
        ...


class DuckDB:
    """Each project has a connection of its own, whose tables and dictionaries are those of the project."""

    carried = CARRIED

    def parameter(self, name: str) -> str:
        return f"${name}"

    def table(self, name: str) -> str:
        return f'"{name}"'

    def dictionary(self, number: int | str) -> str:
        return f"dictionary_{number}"

    def quotient(self, dividend: str, divisor: str) -> str:
        return f"{dividend} // {divisor}"

    def by_bytes(self, text: str) -> str:
        return text  # DuckDB compares texts by bytes unless told otherwise

    def among(self, name: str) -> str:
        return f"IN (SELECT unnest(CAST(${name} AS INTEGER[])))"

    def not_among(self, name: str) -> str:
        return f"NOT IN (SELECT unnest(CAST(${name} AS INTEGER[])))"


class PostgreSQL:
    """All projects share the tables. Which rows are meant, and what properties are, is written where `{event}` and the
    like stand (storage/postgresql/sources.py): no other braces are in a text."""

    carried = CARRIED

    def parameter(self, name: str) -> str:
        return f"%({name})s"

    def table(self, name: str) -> str:
        return f"{{{name}}}"

    def dictionary(self, number: int | str) -> str:
        return f"{{dictionary_{number}}}"

    def quotient(self, dividend: str, divisor: str) -> str:
        return f"{dividend} / {divisor}"

    def by_bytes(self, text: str) -> str:
        return f'({text}) COLLATE "C"'

    def among(self, name: str) -> str:
        return f"= ANY(CAST(%({name})s AS INTEGER[]))"

    def not_among(self, name: str) -> str:
        return f"<> ALL(CAST(%({name})s AS INTEGER[]))"


DIALECTS: Final[dict[str, Dialect]] = {"duckdb": DuckDB(), "postgresql": PostgreSQL()}
