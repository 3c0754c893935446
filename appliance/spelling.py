"""How a message names what somebody sent: a value as JSON has it, a place in JSON by its pointer (RFC 6901)."""

import msgspec

VALUE_LENGTH_MAX = 80


def spelled(value: object) -> str:
    """A decoded value as JSON, cut where it is long."""
    try:
        text = msgspec.json.encode(value).decode()
    except RecursionError:
        return "a deeply nested value"
    return text if len(text) <= VALUE_LENGTH_MAX else f"{text[:VALUE_LENGTH_MAX]}…"


def member(pointer: str, name: str) -> str:
    """The pointer to an object's member."""
    return f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
