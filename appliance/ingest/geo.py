"""Address and browser time zone -> country, and with an operator's .mmdb file region and city.

Countries come from iptocc: where the registry says that a block of addresses is registered, which for roaming
telephones, VPNs and multinational networks is not where the visitor is.
"""

import ipaddress
from functools import cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import maxminddb
import structlog
from iptocc import country_code

from appliance.errors import ConfigurationError

log = structlog.get_logger(__name__)


class Place(NamedTuple):
    """`country` is ISO 3166 alpha-2, `region` ISO 3166-2 ("DE-BE") or, from databases without codes, its English
    name, `city` its English name; each '' when unknown."""

    country: str
    region: str
    city: str


class Locator:
    """Finds places; keeps no address. Thread-safe."""

    def __init__(self, mmdb: Path | None = None) -> None:
        """`mmdb` is a city or country database as MaxMind, DB-IP and IPinfo publish them. It is mapped into memory:
        to replace it, rename a new file over it and start again; writing into it ends the process.

        Raises ValueError, naming the file, when it is missing or no such database.
        """
        self.path = mmdb
        self._reader = _open(mmdb) if mmdb else None
        self._damage_logged = False

    def locate(self, address: str, timezone: str = "") -> Place:
        """The place of an IP address: from the .mmdb file, else from iptocc, else, as for private addresses, the
        country of the browser's time zone. The address may carry a port, brackets or a zone id. Never raises."""
        if self._reader and (place := self._look_up(address)):
            return place
        return _country_place(address_country(address) or zone_country(timezone))

    def _look_up(self, address: str) -> Place | None:
        assert self._reader
        plain = plain_address(address)
        if not plain:
            return None
        try:
            return _place(self._reader.get(plain))
        except Exception as error:
            # A damaged record: maxminddb raises what its decoder stumbles over. ValueError is also an IPv6 address
            # asked of a database without any.
            if not (isinstance(error, ValueError) and ":" in plain) and not self._damage_logged:
                self._damage_logged = True
                log.warning("mmdb is damaged; its places are left out", path=str(self.path), error=str(error))
            return None


def locator_of(setting: str) -> Locator:
    """The locator that the setting APPLIANCE_GEO_DATABASE names. Raises ConfigurationError."""
    try:
        return Locator(Path(setting) if setting else None)
    except ValueError as error:
        raise ConfigurationError(f"APPLIANCE_GEO_DATABASE: {error}") from error


def address_country(address: str) -> str:
    """ISO 3166 alpha-2 of the country in which an address is registered; '' for a private or unknown one, for those
    registered only to the EU, and for what is no address."""
    # iptocc knows addresses as they usually come, so tidying is left to the rest.
    code = country_code(address) if address.isascii() else None
    if code is None:
        plain = plain_address(address)
        code = country_code(plain) if plain and plain != address else None
    return code if code in country_names() else ""


def plain_address(address: str) -> str:
    """The address without port, brackets, zone id and spaces, IPv4 inside IPv6 as IPv4; '' for what is none."""
    text = address.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or parsed.sixtofour or parsed)
    return str(parsed)


# The .mmdb file


def _open(path: Path) -> maxminddb.Reader:
    try:
        reader = maxminddb.open_database(path)
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        raise ValueError(f"{path} cannot be read as an .mmdb database: {error}") from error
    try:
        reader.get("1.1.1.1")
    except Exception as error:
        reader.close()
        raise ValueError(f"{path} is a damaged .mmdb database: {error}") from error
    return reader


def _place(record: object) -> Place | None:
    """A record as MaxMind and DB-IP nest it, or flat as IPinfo does. None when it names no country."""
    if not isinstance(record, dict):
        return None
    country = record.get("country") or record.get("registered_country") or record.get("country_code")
    code = country.get("iso_code") if isinstance(country, dict) else record.get("country_code") or country
    if not isinstance(code, str) or code.upper() not in country_names():
        return None
    code = code.upper()
    return Place(code, _region(record, code), _english(record.get("city")))


def _region(record: dict[object, object], country: str) -> str:
    subdivisions = record.get("subdivisions")
    first = subdivisions[0] if isinstance(subdivisions, list) and subdivisions else record.get("region")
    if isinstance(first, dict) and isinstance(part := first.get("iso_code"), str) and part:
        return f"{country}-{part.upper()}"
    return _english(first)


def _english(value: object) -> str:
    names = value.get("names") if isinstance(value, dict) else None
    name = names.get("en") if isinstance(names, dict) else value
    return name if isinstance(name, str) else ""


# Countries

# What people call countries that iso3166.tab names for a list sorted by letter.
_USUAL_NAMES = {
    "AS": "American Samoa",
    "BQ": "Caribbean Netherlands",
    "CD": "DR Congo",
    "CG": "Republic of the Congo",
    "GB": "United Kingdom",
    "KP": "North Korea",
    "KR": "South Korea",
    "MF": "St Martin",
    "MM": "Myanmar",
    "SX": "Sint Maarten",
    "SZ": "Eswatini",
    "TC": "Turks & Caicos Islands",
    "TF": "French Southern Territories",
    "VC": "St Vincent & the Grenadines",
    "VG": "British Virgin Islands",
    "VI": "US Virgin Islands",
    "WS": "Samoa",
}
# Old names of zones that tzdata links to a zone abroad, and abbreviations, which are no place.
_ZONE_EXCEPTIONS = {
    "Africa/Asmera": "ER",
    "Africa/Timbuktu": "ML",
    "America/Coral_Harbour": "CA",
    "America/Virgin": "VI",
    "Antarctica/South_Pole": "AQ",
    "Atlantic/Jan_Mayen": "SJ",
    "Iceland": "IS",
    "Pacific/Johnston": "UM",
    "Pacific/Ponape": "FM",
    "Pacific/Truk": "FM",
    "Pacific/Yap": "FM",
    **dict.fromkeys(("CET", "EET", "EST", "HST", "MET", "MST", "WET"), ""),
}


def country_name(code: str) -> str:
    """English name of an ISO 3166 alpha-2 code; the code itself when there is none."""
    return country_names().get(code, code)


def zone_country(timezone: str) -> str:
    """ISO 3166 alpha-2 of the country of a time zone ("Asia/Calcutta" -> "IN"); '' for UTC and what is no zone."""
    return _zone_countries().get(timezone, "")


@cache
def country_names() -> dict[str, str]:
    return dict(line[:2] for line in _rows("iso3166.tab")) | _USUAL_NAMES


@cache
def _zone_countries() -> dict[str, str]:
    """zone.tab comes first and old names second: Europe/Oslo stands in zone.tab as NO, yet links to Europe/Berlin."""
    countries = {zone: country for country, _, zone, *_ in _rows("zone.tab")}
    links = {}
    for line in _lines("tzdata.zi"):
        if line.startswith("L "):
            _, target, old_name = line.split()
            links[old_name] = countries.get(target, "")
    return links | _ZONE_EXCEPTIONS | countries


def _rows(name: str) -> list[list[str]]:
    return [line.split("\t") for line in _lines(name) if line and not line.startswith("#")]


def _lines(name: str) -> list[str]:
    return resources.files("tzdata").joinpath("zoneinfo", name).read_text("utf-8").splitlines()


@cache
def _country_place(code: str) -> Place:
    return Place(code, "", "")
