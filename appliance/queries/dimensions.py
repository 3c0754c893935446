"""What results can be grouped and filtered by. The names are those of the Plausible Stats API v2, and a few more."""

from typing import Final, Literal

import msgspec

from appliance.errors import Invalid
from appliance.queries.intervals import GRAINS, Grain
from appliance.spelling import spelled
from appliance.storage.dimensions import is_property, label_of_missing, property_column

PROPERTY: Final = "event:props:"  # before the name of a custom property
PROPERTY_NAMES: Final = "event:props"  # the names of the properties that an event has; properties.py reads them
PROPERTY_NAME_MAX: Final = 300


class Dimension(msgspec.Struct, frozen=True):
    """A property of an event or of its visit: `column` holds codes of a dictionary, 0 where there is no value.

    `shows` is what a code's text becomes in results.
    """

    name: str
    scope: Literal["event", "visit"]
    column: str
    shows: Literal["text", "event_name", "country_name"] = "text"

    @property
    def missing(self) -> str:
        """The label of code 0."""
        return label_of_missing(self.column)

    @property
    def key(self) -> str:
        """Name of the column in SQL results."""
        return self.column if is_property(self.column) else self.name.replace(":", "_")

    @property
    def property_name(self) -> str:
        """The property that it is, for one whose column says so; empty for the names of all."""
        return self.name[len(PROPERTY) :]


class TimeDimension(msgspec.Struct, frozen=True):
    """Buckets of the range; `interval` None is the one that suits the range."""

    name: str
    interval: Grain | None


class GoalDimension(msgspec.Struct, frozen=True):
    """The goals that an event reaches: any number of them, so that it can be in several groups."""

    name: str = "event:goal"


Grouping = Dimension | TimeDimension | GoalDimension

SENT_NAME: Final = "event:sent_name"  # as the client called it, also a pageview

_EVENT: Final = (
    Dimension("event:name", "event", "name", "event_name"),
    Dimension(SENT_NAME, "event", "name"),
    Dimension("event:page", "event", "path"),
    Dimension("event:hostname", "event", "hostname"),
    Dimension("event:source", "event", "source"),
    Dimension("event:currency", "event", "currency"),
)
_VISIT: Final = (
    Dimension("visit:source", "visit", "referrer_source"),
    Dimension("visit:referrer", "visit", "referrer"),
    Dimension("visit:channel", "visit", "channel"),
    Dimension("visit:entry_page", "visit", "entry_path"),
    Dimension("visit:entry_page_hostname", "visit", "entry_hostname"),
    Dimension("visit:exit_page", "visit", "exit_path"),
    Dimension("visit:exit_page_hostname", "visit", "exit_hostname"),
    Dimension("visit:utm_source", "visit", "utm_source"),
    Dimension("visit:utm_medium", "visit", "utm_medium"),
    Dimension("visit:utm_campaign", "visit", "utm_campaign"),
    Dimension("visit:utm_content", "visit", "utm_content"),
    Dimension("visit:utm_term", "visit", "utm_term"),
    Dimension("visit:device", "visit", "device"),
    Dimension("visit:browser", "visit", "browser"),
    Dimension("visit:browser_version", "visit", "browser_version"),
    Dimension("visit:os", "visit", "os"),
    Dimension("visit:os_version", "visit", "os_version"),
    Dimension("visit:language", "visit", "language"),
    Dimension("visit:screen", "visit", "screen"),
    Dimension("visit:country", "visit", "country"),
    Dimension("visit:country_name", "visit", "country", shows="country_name"),
    Dimension("visit:region", "visit", "region"),
    Dimension("visit:region_name", "visit", "region"),
    Dimension("visit:city", "visit", "city"),
    Dimension("visit:city_name", "visit", "city"),
)

DIMENSIONS: Final[dict[str, Dimension]] = {dimension.name: dimension for dimension in (*_EVENT, *_VISIT)}
TIME_DIMENSIONS: Final[dict[str, TimeDimension]] = {
    "time": TimeDimension("time", None),
    **{f"time:{interval}": TimeDimension(f"time:{interval}", interval) for interval in GRAINS},
}


def dimension(name: str) -> Dimension:
    """Raises Invalid for a name that no value dimension has."""
    if name.startswith(PROPERTY):
        return _property(name)
    try:
        return DIMENSIONS[name]
    except KeyError:
        raise Invalid(f"{spelled(name)} is not a dimension that can be asked for") from None


def _property(name: str) -> Dimension:
    key = name.removeprefix(PROPERTY)
    if not 1 <= len(key) <= PROPERTY_NAME_MAX:
        raise Invalid(f"the name of a property has 1 to {PROPERTY_NAME_MAX} characters")
    return Dimension(name, "event", property_column(key))


def group(name: str) -> Grouping:
    """What a result may be grouped by. Raises Invalid."""
    if name == "event:goal":
        return GoalDimension()
    if name == PROPERTY_NAMES:
        return Dimension(name, "event", property_column(""))
    return TIME_DIMENSIONS.get(name) or dimension(name)
