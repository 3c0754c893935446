"""Event ids that this process has just taken, so that an answer can say "duplicate" before the drain has decided."""

Key = tuple[int, str]  # project, event id

KEPT_MAX = 20_000


class RecentIds:
    """Two generations of ids: when the younger is full, the older goes."""

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._half = kept_max // 2
        self._young: set[Key] = set()
        self._old: set[Key] = set()

    def knows(self, key: Key) -> bool:
        """Whether the key was taken lately."""
        return key in self._young or key in self._old

    def count_known(self, keys: list[Key]) -> int:
        """How many of the keys are known, or stand in the list before."""
        if not keys:
            return 0
        fresh = {key for key in keys if key not in self._young and key not in self._old}
        return len(keys) - len(fresh)

    def add(self, keys: list[Key]) -> None:
        self._young.update(keys)
        if len(self._young) > self._half:
            self._old, self._young = self._young, set()
