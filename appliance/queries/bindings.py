"""Collects what a statement binds and reads while its text is written, so that no value ever becomes text."""

from collections.abc import Mapping

from appliance.queries.dialects import Dialect
from appliance.storage.evaluation import CodeSet


class Bindings:
    """Bound values by name, and the columns and dictionaries that the text uses. Equal values share a name."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._numbers: dict[int, str] = {}
        self._texts: dict[tuple[str, ...], str] = {}
        self._sets: dict[CodeSet, str] = {}
        self.columns: dict[str, set[str]] = {"event": set(), "visit": set()}
        self.dictionaries: set[int | str] = set()
        self.properties: set[str] = set()
        self.across_visits = False  # whether what holds for a visit depends on others

    def number(self, value: int) -> str:
        name = self._numbers.setdefault(value, f"n{len(self._numbers)}")
        return self.dialect.parameter(name)

    def texts(self, values: tuple[str, ...]) -> str:
        """Rows of one column, in order; a set-returning expression for a SELECT list."""
        name = self._texts.setdefault(values, f"t{len(self._texts)}")
        return f"unnest(CAST({self.dialect.parameter(name)} AS TEXT[]))"

    def among(self, expression: str, wanted: CodeSet, *, negative: bool = False) -> str:
        """A condition: the expression is one of the codes, or none of them."""
        name = self._sets.setdefault(wanted, f"s{len(self._sets)}")
        return f"{expression} {(self.dialect.not_among if negative else self.dialect.among)(name)}"

    def event(self, column: str) -> str:
        """A column of `event`, whose alias is e."""
        self.columns["event"].add(column)
        return f'e."{column}"'

    def visit(self, column: str) -> str:
        """A column of `visit`, whose alias is v."""
        self.columns["visit"].add(column)
        return f'v."{column}"'

    def visit_of_event(self, column: str) -> str:
        """A column of an event's visit; of the event itself where events carry it, so that no visit need be joined."""
        return self.event(column) if column in self.dialect.carried else self.visit(column)

    def dictionary(self, number: int | str) -> str:
        self.dictionaries.add(number)
        return self.dialect.dictionary(number)

    def parameters(self) -> dict[str, int]:
        return {name: value for value, name in self._numbers.items()}

    def text_lists(self) -> dict[str, list[str]]:
        return {name: list(values) for values, name in self._texts.items()}

    def code_sets(self) -> Mapping[str, CodeSet]:
        return {name: wanted for wanted, name in self._sets.items()}
