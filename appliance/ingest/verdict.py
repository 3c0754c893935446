"""Why an event is filtered."""

from typing import NamedTuple


class Verdict(NamedTuple):
    """`reason` is a stable word; `rule` the id of the project's own rule that says so, 0 for none."""

    reason: str
    rule: int = 0
