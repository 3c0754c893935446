"""JSON that somebody sent in a question, decoded."""

from typing import Any, TypeVar, overload

import msgspec

from appliance.errors import Invalid

T = TypeVar("T")


@overload
def decode(text: bytes | str, *, what: str) -> Any: ...
@overload
def decode(text: bytes | str, type: type[T], *, what: str) -> T: ...
def decode(text: bytes | str, type: Any = Any, *, what: str) -> Any:
    """`what` it is, in words. Raises Invalid (400) for what is no JSON, nests too deeply, or is not of the type."""
    try:
        return msgspec.json.decode(text, type=type)
    except RecursionError:
        fault = "is nested too deeply"
    except msgspec.ValidationError as error:
        fault = f"is not as expected: {error}"
    except (msgspec.DecodeError, UnicodeError) as error:
        fault = f"is no JSON: {error}"
    raise Invalid(f"{what} {fault}", code="invalid_json", pointer="#", status=400)
