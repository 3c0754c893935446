"""What is stated about users, laid over what is known."""

from typing import Any

import msgspec


def merged(known: str, stated: str) -> str:
    """Two JSON objects as one: a merge patch (https://www.rfc-editor.org/rfc/rfc7396), as SQLite's json_patch does."""
    return msgspec.json.encode(_patched(msgspec.json.decode(known), msgspec.json.decode(stated))).decode()


def _patched(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _patched(result.get(name), value)
    return result
