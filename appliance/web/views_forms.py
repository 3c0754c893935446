"""A form that is posted, as plain values. See `views.py`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form's address, what stands in its fields, and what is wrong with them.

    values: by field name; a list for several ticked boxes of one name. errors: sentences by field name, `""` for
    the form as a whole."""

    action: str
    values: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    def chosen(self, name: str) -> tuple[str, ...]:
        """The ticked values of a name; `on` for a box or switch of its own."""
        value = self.values.get(name, ())
        return (value,) if isinstance(value, str) else tuple(value)
