"""The choices of the forms' lists: time zones and currencies."""

from functools import cache

from appliance.currencies import MINOR_DIGITS
from appliance.storage.project_fields import timezones
from appliance.web.views_admin import Options

# The areas of the time zone database; other names are older spellings of zones in them.
_AREAS = frozenset(
    ["Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"],
)


def timezone_options(current: str = "UTC") -> Options:
    """Zones by name, UTC first; the current one too where it has an older spelling."""
    names = _zones()
    if current not in names and current in timezones():
        names = (current, *names)
    return tuple((name, name.replace("_", " ")) for name in names)


@cache
def _zones() -> tuple[str, ...]:
    return ("UTC", *sorted(name for name in timezones() if name.partition("/")[0] in _AREAS and "/" in name))


@cache
def currency_options() -> Options:
    """ISO 4217 codes."""
    return tuple((code, code) for code in sorted(MINOR_DIGITS))
