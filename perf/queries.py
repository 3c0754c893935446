"""Measures dashboards beside DuckDB and chDB on the same events: `python -m perf.queries --events 1000000`.

A dashboard is the totals, visitors by day, and eight panels. "First" is a question with a range or a value that was not
asked before, on warm engines; "again" the same question once more. Each figure is the median of several questions.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appliance.queries import timeseries
from appliance.queries.filters import AllOf, Leaf
from appliance.queries.period import Range
from appliance.queries.question import Report, Scope
from appliance.queries.reports import Reports
from appliance.storage.evaluation import QueryEngine
from appliance.storage.sqlite.evaluator import Evaluator
from perf.dataset import DAY, DAYS, START, Dataset, make
from perf.figures import table
from perf.peers import PANELS, ROWS, Answer, Peer, Question, peers
from perf.stored import PROJECT, make_file, text

TIMES = 3
MONTH_ENDS = (304, 334, 365)  # days into the dataset's year
DIMENSIONS = {"path": "event:page", "referrer_source": "visit:source"}
TOTALS = ("visitors", "visits", "pageviews", "events", "bounce_rate", "visit_duration", "views_per_visit")


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m perf.queries", description=__doc__)
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the file here, and use it when it is there")
    chosen = options.parse_args()
    data = make(chosen.events, chosen.seed)
    print(f"{len(data.event['id']):,} events, {len(data.visit['id']):,} visits, load {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory(prefix="appliance-perf-") as folder, peers(Path(folder), data) as others:
        path = (chosen.keep or Path(folder)) / "appliance.db"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            make_file(path, data)
        asyncio.run(_measure(path, data, others))


async def _measure(path: Path, data: Dataset, others: Sequence[Peer]) -> None:
    ours = Ours(path)
    for name, days in (("30 days", 30), ("12 months", 365)):
        began = time.perf_counter()
        await ours.ask(question_of(data, name, (), days, 0))
        print(f"the worker's very first question, {name}: {time.perf_counter() - began:.2f} s")
        print(f"the query worker's memory: {ours.memory()}")
        await ours.restart()
    rows = []
    for name, filters, days in QUESTIONS:
        asked = [question_of(data, name, filters, days, turn) for turn in range(TIMES)]
        first, again = await ours.times(asked)
        beside = []
        for peer in others:
            taken = []
            for question in asked:
                answer, seconds = peer.dashboard(question)
                _same(ours.answers[question.name], answer, f"{peer.name}: {question}")
                taken.append(seconds)
            beside.append(statistics.median(taken))
        fastest = min(beside)
        rows.append(
            (name, f"{1000 * first:.0f}", f"{1000 * again:.0f}", *(f"{1000 * seconds:.0f}" for seconds in beside),
             f"{first / fastest:.2f}", f"{again / fastest:.2f}")
        )  # fmt: skip
    head = ("dashboard, ms", "ours, first", "ours, again", *(peer.name for peer in others), "first ÷", "again ÷")
    print(table(head, rows))
    print(f"the query worker's memory: {ours.memory()}")
    await ours.close()


QUESTIONS: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("30 days", (), 30),
    ("12 months", (), 365),
    ("350 days", (), 350),
    ("30 days, country", ("country",), 30),
    ("12 months, country", ("country",), 365),
    ("30 days, page", ("path",), 30),
    ("12 months, page", ("path",), 365),
    ("30 days, country and page", ("country", "path"), 30),
    ("12 months, country and page", ("country", "path"), 365),
)


def question_of(data: Dataset, name: str, filters: Sequence[str], days: int, turn: int) -> Question:
    """The turn-th of such questions: other days, other values."""
    if days < DAYS:
        last = data.end - turn * DAY
        return Question(f"{name} {turn}", last - days * DAY, last, dict.fromkeys(filters, 2 + turn))
    # Whole months, as a year is asked for: twelve, eleven, ten.
    return Question(f"{name} {turn}", START, START + MONTH_ENDS[-1 - turn] * DAY, dict.fromkeys(filters, 2 + turn))


class Asked:
    """An engine of the appliance, asked as a page asks it."""

    def __init__(self, engine: QueryEngine) -> None:
        self.answers: dict[str, Answer] = {}
        self.use(engine)

    def use(self, engine: QueryEngine) -> None:
        """Ask this one from now on."""
        self.engine = engine
        self._reports = Reports(engine)

    async def times(self, asked: Sequence[Question]) -> tuple[float, float]:
        """Seconds of a question's first and second time; what only the very first question costs is left out."""
        await self.ask(asked[0]._replace(start=asked[0].start + 7 * DAY, filters=dict.fromkeys(asked[0].filters, 1)))
        first: list[float] = []
        again: list[float] = []
        for question in asked:
            for taken in (first, again):
                began = time.perf_counter()
                self.answers[question.name] = await self.ask(question)
                taken.append(time.perf_counter() - began)
        return statistics.median(first), statistics.median(again)

    async def ask(self, question: Question) -> Answer:
        leaves = tuple(Leaf("is", _dimension(name), (text(name, code),)) for name, code in question.filters.items())
        days = (question.end - question.start) // DAY
        there = Range(question.start, question.end, "UTC", question.end, "day", days)
        panels = [Report(("visitors",), (_dimension(name),), limit=ROWS) for name in PANELS]
        reports = [Report(TOTALS), timeseries.report(("visitors",), "day"), *panels]
        totals, days_found, *tables = (await self._reports.ask([(Scope(PROJECT, there, AllOf(leaves)), reports)]))[0]
        answer: Answer = {"totals": totals.rows[0].values, "days": [row.values[0] for row in days_found.rows]}
        return answer | {
            name: [row.values[0] for row in found.rows] for name, found in zip(PANELS, tables, strict=True)
        }

    async def close(self) -> None:
        await self.engine.close()


class Ours(Asked):
    """The engine of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__(self._fresh())

    def _fresh(self) -> Evaluator:
        self._evaluator = Evaluator(self._path, temp_directory=self._path.parent / "tmp", timeout_seconds=600)
        return self._evaluator

    async def restart(self) -> None:
        """Begin with a worker that knows nothing."""
        await self.close()
        self.use(self._fresh())

    def memory(self) -> str:
        assert self._evaluator.worker_pid is not None
        status = Path(f"/proc/{self._evaluator.worker_pid}/status").read_text()
        mb = {line.split(":")[0]: int(line.split()[1]) // 1024 for line in status.splitlines() if line.endswith(" kB")}
        return f"{mb['RssAnon']} MB of its own, {mb['RssFile']} MB of the file; at most {mb['VmHWM']} MB together"


def _same(ours: Answer, theirs: Answer, where: str) -> None:
    """Both must have answered the same question, or their times say nothing."""
    visitors, visits, pageviews, events, *_ = theirs["totals"]
    found: dict[str, Any] = {
        "totals": (visitors, visits, pageviews, events),
        "days": [count for _, count in theirs["days"]],
        **{name: [count for _, count in theirs[name]] for name in PANELS},
    }
    mine: dict[str, Any] = {**ours, "totals": tuple(ours["totals"][:4])}
    for name, value in found.items():
        if mine[name] != value:
            raise SystemExit(f"{where}: {name}: ours {mine[name]}, theirs {value}")


def _dimension(column: str) -> str:
    return DIMENSIONS.get(column, f"visit:{column}")


if __name__ == "__main__":
    main()
