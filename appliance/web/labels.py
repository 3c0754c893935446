"""How a dimension's value is shown: a country's or language's name instead of its code, an icon, a way to it."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from appliance.ingest.geo import country_name
from appliance.model import Project
from appliance.queries.dimensions import dimension as find_dimension
from appliance.queries.goals import GOAL
from appliance.web.views import Icon

_BRANDED: Final = frozenset({"visit:source", "visit:browser", "visit:os"})
_DEVICES: Final = {"Desktop": "monitor", "Mobile": "smartphone", "Tablet": "tablet", "TV": "tv"}
_PAGES: Final = frozenset({"event:page", "visit:entry_page", "visit:exit_page"})
_HOSTS: Final = frozenset({"event:hostname", "visit:entry_page_hostname", "visit:exit_page_hostname"})


def label(dimension: str, value: str) -> str:
    """The words for a value as results have it."""
    named = _NAMED.get(dimension)
    return value if named is None or is_missing(dimension, value) else named(value)


def is_named(dimension: str) -> bool:
    """Whether values are codes that are shown by a name: people search for the name."""
    return dimension in _NAMED


def is_missing(dimension: str, value: str) -> bool:
    """Whether the value stands for none."""
    return dimension != GOAL and value == find_dimension(dimension).missing


def icon(dimension: str, value: str) -> Icon | None:
    """The mark before a value; None where the dimension has none."""
    missing = is_missing(dimension, value)
    if dimension in _BRANDED:
        if not missing:
            return Icon(kind="brand", code=value)
        return Icon(kind="ui", code="arrow-right" if dimension == "visit:source" else "circle-help")
    if dimension == "visit:country":
        return Icon(kind="flag", code="" if missing or country_name(value) == value else value)
    if dimension == "visit:region" and value[2:3] == "-":
        return Icon(kind="flag", code=value[:2] if country_name(value[:2]) != value[:2] else "")
    if dimension == "visit:device":
        return Icon(kind="ui", code=_DEVICES.get(value, "circle-help"))
    return None


def external(dimension: str, value: str, project: Project) -> str | None:
    """The address of the page or site itself, None for what is no address."""
    if is_missing(dimension, value):
        return None
    if dimension in _PAGES and project.domains and value.startswith("/"):
        return f"https://{project.domains[0]}{value}"
    if dimension in _HOSTS or (dimension == "visit:referrer" and ":" not in value):
        return f"https://{value}"
    return None


def language_name(tag: str) -> str:
    """English name of a BCP 47 tag of language and region: de-AT is `German (Austria)`; the tag itself if unknown."""
    language, _, region = tag.partition("-")
    name = _languages().get(language)
    if name is None:
        return tag
    return f"{name} ({country_name(region)})" if region else name


_NAMED: Final[Mapping[str, Callable[[str], str]]] = {
    "visit:country": country_name,
    "visit:language": language_name,
}


@cache
def _languages() -> dict[str, str]:
    lines = (Path(__file__).parent / "languages.tsv").read_text("utf-8").splitlines()
    return dict(line.split("\t", 1) for line in lines if not line.startswith("#"))
