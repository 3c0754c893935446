"""Reports over data of which a part was sampled out, as SQL: sums by sampling rate.

What weighs (metrics.py) is a text cell `rate:n,rate:n`, of which sampling.py makes an exact figure. Rows are ordered by
floating-point estimates, told to twelve digits: finer than what is shown, and so roughly that equal figures are equal.
"""

from collections.abc import Sequence
from typing import Final

from appliance.model import UNSAMPLED
from appliance.queries.metrics import WEIGHTED_MEASURES, Measure, metric
from appliance.queries.question import Report
from appliance.queries.relations import Relations
from appliance.queries.sql import AGGREGATES, ReportSQL, group_by, of_one_currency

# x * (2**n + 1) - (x * (2**n + 1) - x) keeps 53 - n bits of a double, whatever its size (Veltkamp).
_TOLD: Final = 2**12 + 1

# Measures that are numbers of different values of a column; those of wholes are of visitors too.
_DIFFERENT: Final[dict[Measure, str]] = {"visitors": "visitor", "active_visits": "visit_id"}

# How measures of several parts come together; what is not here is added.
_JOINED: Final[dict[Measure, str]] = {"currency_low": "min", "currency_high": "max"}


class WeightedSQL(ReportSQL):
    """One report over a scope in which data are sampled.

    Events weigh by their own rate, visits by that of their visitor, and a visitor met with several in one group by the
    highest, which is the one with which this visitor was most certain to be met.
    """

    def __init__(self, report: Report, relations: Relations) -> None:
        super().__init__(report, relations)
        # Not `seen`: a visit's counters do not tell the rates of its events.
        self.counted, self._whole = self._hit, "hit"
        self._of_visits.append("rate")

    def _cell(self, name: Measure) -> str:
        if name not in WEIGHTED_MEASURES:
            return super()._cell(name)
        return f"coalesce({name if name in self._wholes else 'g'}.{name}_by_rate, '')"

    def _join_whole(self, name: Measure) -> list[str]:
        keys, source = self._whole_keys(name), self._whole if name == "total_visitors" else "base"
        self._wholes[name] = f"coalesce({name}.{name}_estimate, 0)"
        columns = [f"s.{key} AS {key}" for key in keys] + _sums_by_rate(name)
        counts = f"SELECT {', '.join(columns)} FROM ({_different(keys, f'{source} r', name)}) s{group_by('s', keys)}"
        same = " AND ".join(f"{name}.{key} = g.{key}" for key in keys)
        return [f"LEFT JOIN ({counts}) {name} ON {same or '1 = 1'}"]

    def _counts(self) -> str:
        keys = [self._relations.key(item) for item in self.groupings]
        columns = [f"s.{key} AS {key}" for key in keys]
        for name in self._summed:
            columns.append(f"{_JOINED.get(name, 'sum')}(s.{name}) AS {name}")
            if name in WEIGHTED_MEASURES:
                columns += _sums_by_rate(name)
        return f"SELECT {', '.join(columns)} FROM ({self._of_rates(keys)}) s{group_by('s', keys)}"

    def _of_rates(self, keys: list[str]) -> str:
        """The measures of each group and rate."""
        parts = []
        of_events = [name for name in self.event_measures if name not in _DIFFERENT]
        if of_events:
            parts.append(self._of_rate(keys, of_events, f"{self.counted} r", "r.rate"))
        for different in (name for name in self.event_measures if name in _DIFFERENT):
            counted = _different(keys, f"{self.counted} r{self._group_conditions(keys)}", different)
            columns = [f"w.{key} AS {key}" for key in keys]
            columns += [f"{f'w.{name}' if name == different else _nothing(name)} AS {name}" for name in self._summed]
            parts.append(f"SELECT {', '.join([*columns, 'w.rate AS rate'])} FROM ({counted}) w")
        if self.visit_measures:
            parts.append(self._of_rate(keys, self.visit_measures, self._visits(keys), "r.rate"))
        if self.page_measures:
            parts.append(self._of_rate(keys, self.page_measures, self._pages(keys), None))
        columns = [f"u.{key} AS {key}" for key in keys]
        columns += [f"{_JOINED.get(name, 'sum')}(u.{name}) AS {name}" for name in self._summed]
        by_rate = group_by("u", [*keys, "rate"])
        return f"SELECT {', '.join([*columns, 'u.rate AS rate'])} FROM ({' UNION ALL '.join(parts)}) u{by_rate}"

    def _of_rate(self, keys: list[str], measures: Sequence[Measure], source: str, rate: str | None) -> str:
        """Measures of each group and rate over one source, whose rows have none where `rate` is None."""
        columns = [f"r.{key} AS {key}" for key in keys]
        columns += [f"{AGGREGATES[name] if name in measures else _nothing(name)} AS {name}" for name in self._summed]
        columns.append(f"{rate or UNSAMPLED} AS rate")
        by_rate = group_by("r", [*keys, "rate"] if rate else keys)
        return f"SELECT {', '.join(columns)} FROM {source}{self._group_conditions(keys)}{by_rate}"

    def _figure(self, name: str) -> str:
        what = metric(name)
        if what.of_stored:
            return super()._figure(name)
        figure = f"g.{what.numerator}_estimate"
        if what.denominator is not None:
            below = self._wholes.get(what.denominator, f"g.{what.denominator}_estimate")
            figure = f"CASE WHEN {below} = 0 THEN NULL ELSE {figure} / {below} END"
        told = f"(({figure}) * {_TOLD} - (({figure}) * {_TOLD} - ({figure})))"
        return of_one_currency(told) if what.is_money else told


def _different(keys: list[str], source: str, name: Measure) -> str:
    """SELECT the keys, a rate, and the different visitors or visits of that rate, from a source of events called r."""
    who = _DIFFERENT.get(name, "visitor")
    columns = ", ".join([*(f"r.{key} AS {key}" for key in keys), "max(r.visit_rate) AS rate"])
    each = f"SELECT {columns} FROM {source}{group_by('r', [*keys, who])}"
    columns = ", ".join([*(f"v.{key} AS {key}" for key in keys), "v.rate AS rate", f"count(*) AS {name}"])
    return f"SELECT {columns} FROM ({each}) v{group_by('v', [*keys, 'rate'])}"


def _sums_by_rate(name: Measure) -> list[str]:
    """A measure of s, which has a row for each rate, as the text of all of them and as a rough estimate."""
    number, rate = f"s.{name}", "s.rate"
    text = f"CASE WHEN {number} <> 0 THEN CAST({rate} AS TEXT) || ':' || CAST({number} AS TEXT) END"
    # As decimals they add up to the same in any order; those of money leave room for more digits before the point.
    scale = 12 if name == "revenue" else 15
    weight = f"CAST(CAST({number} AS DOUBLE PRECISION) * {UNSAMPLED} / {rate} AS DECIMAL(38, {scale}))"
    return [
        f"string_agg({text}, ',') AS {name}_by_rate",
        f"CAST(sum({weight}) AS DOUBLE PRECISION) AS {name}_estimate",
    ]


def _nothing(name: Measure) -> str:
    return "CAST(NULL AS INTEGER)" if name in _JOINED else "0"
