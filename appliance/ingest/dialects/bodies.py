"""What is wrong with a body that does not decode as its dialect has it: with the whole of it, or with one event."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from appliance.errors import Invalid
from appliance.ingest.sent import Rejection

# What decoding raises. UnicodeDecodeError: bytes that are no UTF-8; RecursionError: deeper than can be read at all.
FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

T = TypeVar("T")

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode


def members_of(body: bytes) -> dict[str, msgspec.Raw]:
    """The members of an object, not looked into. Raises Invalid when it is none (422), or no JSON (400)."""
    try:
        return _decode_members(body)
    except msgspec.ValidationError as error:
        raise Invalid("the body is not a JSON object", code="wrong_type", pointer="#") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed(error) from error
    except RecursionError as error:
        raise Invalid("the JSON is nested too deeply", code="too_deep", status=400) from error


def malformed(error: Exception) -> Invalid:
    """A body that is not JSON."""
    return Invalid(f"the body is not JSON: {error}", code="malformed_json", status=400)


def fault_of_single(body: bytes, error: Exception) -> Rejection:
    """Why a body that is one event does not decode. Raises Invalid when it is not even a JSON object."""
    members_of(body)
    if isinstance(error, msgspec.ValidationError):
        return fault(0, error)
    raise malformed(error) from error


def events_of(
    raw: msgspec.Raw, decode: Callable[[msgspec.Raw], T], events_max: int, name: str = "events"
) -> list[T | Rejection]:
    """The events of a list that does not decode as a whole, one by one, so that damage inside one stays that one's; no
    more than one above the maximum. Raises Invalid when it is no list."""
    try:
        raws = _decode_raws(raw)
    except msgspec.ValidationError:
        raise Invalid(f"{name} is not a list", code="wrong_type", field=name, pointer=f"#/{name}") from None
    events: list[T | Rejection] = []
    for index, one in enumerate(raws[: events_max + 1]):
        try:
            events.append(decode(one))
        except FAULTS as error:
            events.append(fault(index, error))
    return events


def fault(index: int, error: Exception) -> Rejection:
    """A rejection of one event, from the words of what decoding it raised: they end in "- at `$.field`"."""
    if not isinstance(error, msgspec.ValidationError):
        what = "is nested too deeply" if isinstance(error, RecursionError) else f"is not valid JSON: {error}"
        return Rejection(index, "malformed_event", f"the event {what}")
    message, _, place = str(error).partition(" - at `$")
    field = place.rstrip("`").lstrip(".").partition("[")[0].partition(".")[0] or None
    return Rejection(index, "wrong_type", f"{field or 'the event'}: {message or error}", field)


def in_words_of(names: Mapping[str, str], rejections: list[Rejection]) -> None:
    """Let rejections name fields as the dialect does: `names` says which of ours are called otherwise there."""
    for rejection in rejections:
        if (name := names.get(rejection.field or "")) is not None:
            rejection.message = name + rejection.message.removeprefix(rejection.field or "")
            rejection.field = name
