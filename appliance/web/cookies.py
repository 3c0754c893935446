"""Cookies that a handler wants set, whatever response comes of its request; `security.Headers` writes them."""

from collections.abc import MutableMapping
from http.cookies import SimpleCookie
from typing import Any

from starlette.requests import HTTPConnection

_KEY = "appliance.cookies"


def set_cookie(
    connection: HTTPConnection, name: str, value: str, *, max_age_seconds: int, secure: bool = False
) -> None:
    """Set a cookie that scripts cannot read and other sites' forms do not send. Age 0 deletes it."""
    cookie: SimpleCookie = SimpleCookie()
    cookie[name] = value
    morsel = cookie[name]
    morsel["path"] = "/"
    morsel["max-age"] = max_age_seconds
    morsel["httponly"] = True
    morsel["samesite"] = "Lax"
    morsel["secure"] = secure
    connection.scope.setdefault(_KEY, {})[name] = morsel.OutputString()


def queued(scope: MutableMapping[str, Any]) -> list[str]:
    """Values of the Set-Cookie headers that this request's answer gets, one a cookie name, the last set."""
    return list(scope.get(_KEY, {}).values())
