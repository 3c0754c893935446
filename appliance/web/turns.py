"""What takes long and costs much is done by so many at once and no more; who comes then is asked to come back."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from appliance.errors import Busy


class Turns:
    """So many turns at once in all, and so many of a project. To be used on the event loop."""

    def __init__(self, most: int, of_project: int) -> None:
        self._most = most
        self._of_project = of_project
        self._taken: Counter[int] = Counter()

    @contextmanager
    def one(self, project_id: int) -> Iterator[None]:
        """Take a turn, as long as the context lasts. Raises Busy."""
        if self._taken.total() >= self._most or self._taken[project_id] >= self._of_project:
            raise Busy
        self._taken[project_id] += 1
        try:
            yield
        finally:
            self._taken[project_id] -= 1
            if not self._taken[project_id]:
                del self._taken[project_id]
