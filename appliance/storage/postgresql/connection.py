"""Connections to PostgreSQL: the portable SQL of the appliance, its values, and its errors, as psycopg has them."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import psycopg
from psycopg.adapt import AdaptersMap, Loader
from psycopg.types.numeric import Int2Dumper

from appliance.errors import StorageUnavailable, TryAgain

# A text or quoted name, a cast, a parameter, or a character that psycopg would take for one.
_PIECES: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|::|:([a-z_][a-z0-9_]*)|%""")
APPLICATION: Final = "analytics-appliance"
CONNECT_SECONDS: Final = 5
_PARAMETERS: Final[dict[str, Any]] = {
    "autocommit": True,
    "connect_timeout": CONNECT_SECONDS,
    "application_name": APPLICATION,
    # A server that is gone without a word is noticed after some ten seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# And so does a server with a client, whose session would hold its locks for two hours else.
_SERVER: Final = (
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 -c tcp_user_timeout=10000"
)

# Without TimescaleDB it says nothing. What is changed in its columnstore becomes rows first; who does that asks for as
# little as it needs, and would come upon a limit again however often it tried.
UNPACK_ALL: Final = "-c timescaledb.max_tuples_decompressed_per_dml_transaction=0"

# What may pass by itself (https://www.postgresql.org/docs/15/errcodes-appendix.html): connection exceptions, lack of
# resources (but no limit that was set, 53400), an operator's intervention, trouble of the system, a transaction that is
# to be tried again, and a server that may only be read from, as one that is about to be replaced is.
_PASSING: Final = ("08", "530", "531", "532", "533", "57", "58", "25006", "55P03", "XX")
_AGAIN: Final = "40"


@lru_cache(maxsize=1024)
def translated(sql: str) -> str:
    """SQL with `:name` parameters as psycopg takes it."""
    return _PIECES.sub(_piece, sql)


def _piece(found: re.Match[str]) -> str:
    if name := found[1]:
        return f"%({name})s"
    return found[0].replace("%", "%%")


def without_nul(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters as PostgreSQL takes them: no text there has a NUL, so one with a NUL has U+FFFD instead. It is found
    nowhere then."""
    if not any(isinstance(value, str) and "\0" in value for value in params.values()):
        return params
    return {name: value.replace("\0", "\ufffd") if isinstance(value, str) else value for name, value in params.items()}


def parameters(url: str, options: str = "") -> dict[str, Any]:
    """What psycopg is told beside a URL; `options` as a server takes them (`-c name=value`), after those of the URL."""
    own = dict(parse_qsl(urlsplit(url).query)).get("options", "")
    return _PARAMETERS | {"options": f"{own} {_SERVER} {options}"}


def without_password(url: str) -> str:
    """A URL as it may be shown."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    query = "&".join(part for part in parts.query.split("&") if not part.startswith("password="))
    server = f"{user.partition(':')[0]}{at}{host}"
    return f"{parts.scheme}://{server}{parts.path}{'?' * bool(query)}{query}"


def storage_error(error: psycopg.Error) -> Exception:
    """The appliance's error for one of psycopg's: StorageUnavailable where waiting may help, else the same error."""
    state = error.sqlstate
    if state is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return StorageUnavailable(f"the database does not answer: {str(error).strip()}")
    if state is not None and state.startswith(_AGAIN):
        return TryAgain(f"the database answers {state}: {str(error).strip()}")
    if state is not None and state.startswith(_PASSING):
        return StorageUnavailable(f"the database answers {state}: {str(error).strip()}")
    return error


@contextmanager
def storage_errors() -> Iterator[None]:
    """What fails inside raises the appliance's error, as `storage_error` has it."""
    try:
        yield
    except psycopg.Error as error:
        raise storage_error(error) from error


def work_connection(url: str, options: str = "") -> psycopg.Connection[tuple[Any, ...]]:
    """A connection for a process that works by itself; `options` as `parameters` takes them.

    Raises psycopg.Error.
    """
    connection = psycopg.connect(url, **parameters(url, options))
    adapt(connection.adapters)
    return connection


class _WholeNumber(Loader):
    """numeric as int: sums of bigint are numeric, and nothing that is stored has a fraction."""

    def load(self, data: Any) -> int:
        return int(bytes(data))


def adapt(adapters: AdaptersMap) -> None:
    """Let values come and go as they do with SQLite: truth as 0 or 1, whole numbers as int."""
    adapters.register_loader("numeric", _WholeNumber)
    adapters.register_dumper(bool, _Truth)


class _Truth(Int2Dumper):
    """True as 1, False as 0: such columns are numbers."""

    def dump(self, obj: Any) -> Any:
        return b"1" if obj else b"0"
