"""JSON that somebody sent in a question, decoded."""

from typing import Any, TypeVar, overload

import msgspec

from appliance.errors import Invalid

T = TypeVar("T")


@overload
def decode(text: bytes | str, *, what: str) -> Any: ...
@overload
def decode(text: bytes | str, into: type[T], *, what: str) -> T: ...
def decode(text: bytes | str, into: Any = Any, *, what: str) -> Any:
    """The JSON that is `what`, in words. Raises Invalid (400) for what is none, nests too deeply, or is no `into`."""
    try:
        return msgspec.json.decode(text, type=into)
    except RecursionError:
        fault = "is nested too deeply"
    except msgspec.ValidationError as error:
        fault = f"is not as expected: {error}"
    except (msgspec.DecodeError, UnicodeError) as error:
        fault = f"is no JSON: {error}"
    raise Invalid(f"{what} {fault}", code="invalid_json", pointer="#", status=400)
