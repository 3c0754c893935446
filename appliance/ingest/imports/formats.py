"""The formats that are understood: one module each, which says how its files begin and what their records mean."""

from collections.abc import Sequence
from typing import Final

from appliance.errors import Invalid
from appliance.ingest.imports import (
    alb,
    caddy,
    cloudfront,
    event_csv,
    goatcounter,
    native_csv,
    native_ndjson,
    nginx_json,
    plausible,
    text_log,
    umami,
)
from appliance.ingest.imports.format import Format, Head

# A file is taken for the first that recognises it: those with names of their own come before the native ones.
FORMATS: Final[Sequence[Format]] = (
    plausible.FORMAT,
    event_csv.FORMAT,
    umami.FORMAT,
    goatcounter.FORMAT,
    native_csv.FORMAT,
    caddy.FORMAT,
    nginx_json.FORMAT,
    native_ndjson.FORMAT,
    cloudfront.FORMAT,
    alb.FORMAT,
    text_log.COMBINED,
    text_log.COMMON,
)


def by_name(name: str) -> Format:
    """A format by its name. Raises Invalid."""
    for known in FORMATS:
        if known.name == name:
            return known
    raise Invalid(f"There is no format {name!r}. {understood()}", code="unknown_format", field="format")


def detect(head: Head) -> Format:
    """The format of a file by its first bytes. Raises Invalid, which says what is understood."""
    for known in FORMATS:
        if known.recognises(head):
            return known
    raise Invalid(f"The file is in no format that is understood. {understood()}", code="unknown_format", field="format")


def understood() -> str:
    """All formats in a sentence."""
    return "Understood are: " + "; ".join(f"{known.name} ({known.title})" for known in FORMATS) + "."
