"""Every setting, with its type, default and a sentence of help; the only reader of the environment.

A setting NAME is the variable APPLIANCE_NAME and the flag --name of `appliance serve`. A secret may also be given as a
file: APPLIANCE_NAME_FILE holds the path.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import msgspec

from appliance.errors import ConfigurationError

PREFIX = "APPLIANCE_"

_HELP = {
    "data_dir": "Folder of the database, journal, archive and backups.",
    "database_url": "Where events are stored: empty for SQLite in the data folder, sqlite:///path, or postgresql://...",
    "database_read_url": "A PostgreSQL replica that answers questions; empty: the database itself does.",
    "host": "Address to listen on.",
    "port": "Port to listen on.",
    "public_url": "How browsers reach the appliance, for snippets, links and cookies; empty: as the request says.",
    "trusted_proxies": "Addresses or networks, separated by commas, whose X-Forwarded-For and -Proto are believed.",
    "read_origins": "Origins, separated by commas, whose pages may ask system C's paths: https://app.example.com.",
    "admin_email": "With admin_password, creates the first account at start.",
    "admin_password": "Password of the first account.",
    "durability": "'fsync': events are answered when they are on disk; 'os': when the operating system has them.",
    "open_registration": "Let anybody create an account.",
    "default_project": "Project (id or domain) that takes system B's and D's events sent without a key.",
    "rate_limit_address": "Requests that one client address may send in 10 seconds; 0: any number.",
    "rate_limit_project": "Requests that a project without a limit of its own may get in 10 seconds; 0: any number.",
    "journal_bytes_max": "Bytes the journal may take; above, ingestion answers 503.",
    "body_bytes_max": "Largest request body, after decompression.",
    "upload_bytes_max": "Largest file that may be uploaded to be imported; 0: as large as the disk has room for.",
    "drain_seconds_max": "At shutdown, how long the journal is emptied before the rest is left for the next start.",
    "lag_seconds_max": "Readiness turns red when the database is this far behind the journal.",
    "worker_idle_seconds": "How long the query worker waits for a question before it ends.",
    "query_timeout_seconds": "How long a question may take.",
    "query_memory_mb": "Memory for the data of questions; 0: a quarter of the machine's, 256 at least, 8192 at most.",
    "geo_database": "A .mmdb file with cities (DB-IP, GeoLite2, ...); empty: countries only, built in.",
    "datacentre_ranges": "A file with the networks of data centres, one a line; what comes from there is no visitor.",
    "script_name": "Also serve the tracker under this name, e.g. 'a.js'.",
    "log_format": "'json' or 'text'.",
    "metrics_public": "Answer /metrics to anybody, not only with a private key or from this machine.",
}


class Settings(msgspec.Struct, frozen=True):
    """The settings of one process; `load` makes them."""

    data_dir: Path = Path("data")
    database_url: str = ""
    database_read_url: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = ""
    trusted_proxies: tuple[str, ...] = ()
    read_origins: tuple[str, ...] = ()
    admin_email: str = ""
    admin_password: str = ""
    durability: str = "fsync"
    open_registration: bool = False
    default_project: str = ""
    rate_limit_address: int = 1000
    rate_limit_project: int = 0
    journal_bytes_max: int = 1 << 30
    body_bytes_max: int = 5 << 20
    upload_bytes_max: int = 0
    drain_seconds_max: int = 20
    lag_seconds_max: int = 60
    worker_idle_seconds: int = 300
    query_timeout_seconds: int = 30
    query_memory_mb: int = 0
    geo_database: str = ""
    datacentre_ranges: str = ""
    script_name: str = ""
    log_format: str = "json"
    metrics_public: bool = False


def optional_path(setting: str) -> Path | None:
    """The file that a setting names; None where it is empty."""
    return Path(setting) if setting else None


class SettingInfo(NamedTuple):
    """One row of the table of settings, for the CLI and the documentation."""

    name: str
    variable: str
    type: Any
    default: Any
    help: str


_CHOICES = {"durability": ("fsync", "os"), "log_format": ("json", "text")}
_AT_LEAST = {
    "port": 0,
    "rate_limit_address": 0,
    "rate_limit_project": 0,
    "journal_bytes_max": 1 << 20,
    "body_bytes_max": 1024,
    "upload_bytes_max": 0,
    "drain_seconds_max": 0,
    "lag_seconds_max": 1,
    "worker_idle_seconds": 1,
    "query_timeout_seconds": 1,
    "query_memory_mb": 0,
}
_AT_MOST = {"port": 65535}
_NOT_GIVEN = ("host", "data_dir")  # where they are empty, as in a file of variables: none would be every address
_SHAPES = {
    "public_url": (re.compile(r"https?://[^/\s?#]+(/[^\s?#]*)?"), "a URL like https://stats.example.com"),
    "database_read_url": (re.compile(r"postgres(ql)?://.*"), "a URL like postgresql://user:password@host/database"),
    "script_name": (re.compile(r"/?[\w.~-]+(/[\w.~-]+)*", re.ASCII), "a name like a.js or s/a.js"),
}
_ORIGIN = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


def table() -> list[SettingInfo]:
    """All settings in order."""
    hints = get_type_hints(Settings)
    defaults = Settings()
    return [
        SettingInfo(name, PREFIX + name.upper(), hints[name], getattr(defaults, name), _HELP[name])
        for name in Settings.__struct_fields__
    ]


def load(environment: Mapping[str, str] = os.environ, **flags: Any) -> Settings:
    """Settings from flags (None: not given), else the environment, else the defaults.

    Raises ConfigurationError naming the variable and what it may be.
    """
    values: dict[str, Any] = {}
    for info in table():
        raw = flags.get(info.name)
        if raw is None:
            raw = _from_environment(environment, info.variable)
        if raw is not None and not (info.name in _NOT_GIVEN and not str(raw).strip()):
            values[info.name] = _convert(info, raw)
    return Settings(**values)


def _from_environment(environment: Mapping[str, str], variable: str) -> str | None:
    if (raw := environment.get(variable)) is not None:
        return raw
    if (path := environment.get(variable + "_FILE")) is not None:
        try:
            return Path(path).read_text("utf-8").strip()
        except OSError as error:
            raise ConfigurationError(f"{variable}_FILE: cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{variable}_FILE: {path} is no text in UTF-8") from error
    return None


def _convert(info: SettingInfo, raw: Any) -> Any:
    try:
        value = _parse(info.type, raw)
        if info.name == "read_origins":
            value = tuple(_origin(each) for each in value)
    except ValueError as error:
        raise ConfigurationError(f"{info.variable}: {raw!r} is not {error}") from error
    if info.name in _CHOICES and value not in _CHOICES[info.name]:
        raise ConfigurationError(f"{info.variable}: {raw!r} is not one of {', '.join(_CHOICES[info.name])}")
    if info.name in _AT_LEAST and value < _AT_LEAST[info.name]:
        raise ConfigurationError(f"{info.variable}: {value} is below {_AT_LEAST[info.name]}")
    if info.name in _AT_MOST and value > _AT_MOST[info.name]:
        raise ConfigurationError(f"{info.variable}: {value} is above {_AT_MOST[info.name]}")
    if info.name in _SHAPES and value and not _SHAPES[info.name][0].fullmatch(value):
        raise ConfigurationError(f"{info.variable}: this is not {_SHAPES[info.name][1]}")
    if info.name == "trusted_proxies":
        for network in value:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError as error:
                raise ConfigurationError(f"{info.variable}: {error}") from error
    return value


def _origin(given: str) -> str:
    """An origin as browsers send it: lower case, without the usual port. Raises ValueError with what was expected."""
    origin = given.lower()
    if not _ORIGIN.fullmatch(origin):
        raise ValueError("a list of origins like https://app.example.com: scheme and host, no path, no *")
    return origin.removesuffix(":443" if origin.startswith("https:") else ":80")


def _parse(kind: Any, raw: Any) -> Any:
    """Raises ValueError with what was expected."""
    if not isinstance(raw, str):
        return raw
    raw = raw.strip()
    if kind is bool:
        if raw.lower() in ("1", "true", "yes", "on"):
            return True
        if raw.lower() in ("0", "false", "no", "off", ""):
            return False
        raise ValueError("true or false")
    if kind is int:
        try:
            return int(raw.replace("_", ""))
        except ValueError:
            raise ValueError("a whole number") from None
    if kind is Path:
        return Path(raw)
    if get_args(kind):
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    return raw
