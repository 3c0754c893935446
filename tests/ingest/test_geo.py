"""Addresses and time zones -> places, with and without an operator's .mmdb file."""

import zoneinfo
from pathlib import Path

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.ingest.geo import Locator, Place, country_name, plain_address, zone_country
from tests.ingest.mmdb import write_mmdb

NOWHERE = Place("", "", "")


ADDRESSES = [
    # address, time zone, country
    ("8.8.8.8", "", "US"),
    ("2001:4860:4860::8888", "", "US"),
    ("81.2.69.160", "", "GB"),
    ("193.0.6.139", "", "NL"),
    ("133.11.0.1", "", "JP"),
    ("8.8.8.8", "Europe/Berlin", "US"),
    # as proxies and log files write them
    ("::ffff:8.8.8.8", "", "US"),
    ("::ffff:808:808", "", "US"),
    ("2002:808:808::1", "", "US"),
    ("8.8.8.8:51234", "", "US"),
    ("[2001:4860:4860::8888]:443", "", "US"),
    ("[2001:4860:4860::8888]", "", "US"),
    ("2001:4860:4860::8888%eth0", "", "US"),
    (" 8.8.8.8 ", "", "US"),
    # nowhere, unless the browser's time zone helps
    ("", "", ""),
    ("10.0.0.1", "", ""),
    ("10.0.0.1", "Europe/Oslo", "NO"),
    ("192.168.1.2", "Asia/Calcutta", "IN"),
    ("127.0.0.1", "America/New_York", "US"),
    ("fe80::1%eth0", "Europe/Paris", "FR"),
    ("::1", "UTC", ""),
    ("unknown", "Asia/Tokyo", "JP"),
    ("999.8.8.8", "", ""),
    ("8.8.8", "", ""),
    ("8.8.8.8.8", "", ""),
    ("\ud800", "\ud800", ""),
    ("8.8.8.8\0", "", ""),
]


@pytest.mark.parametrize(("address", "timezone", "country"), ADDRESSES)
def test_locates_countries(address: str, timezone: str, country: str) -> None:
    assert Locator().locate(address, timezone) == Place(country, "", "")


@given(st.text(), st.text())
@example("[", "")
@example(":", "")
@example("%", "")
@example("[::1%]:8", "")
def test_any_text_has_a_place(address: str, timezone: str) -> None:
    assert len(Locator().locate(address, timezone).country) in (0, 2)
    assert plain_address(plain_address(address)) == plain_address(address)


ZONES = [
    ("Europe/Berlin", "DE"),
    ("Europe/Oslo", "NO"),  # stands in zone.tab, and links to Europe/Berlin
    ("Europe/Stockholm", "SE"),
    ("Atlantic/Reykjavik", "IS"),
    ("Asia/Calcutta", "IN"),
    ("Asia/Saigon", "VN"),
    ("US/Pacific", "US"),
    ("America/Buenos_Aires", "AR"),
    ("Europe/Kiev", "UA"),
    ("GB", "GB"),
    ("Hongkong", "HK"),
    # links of tzdata that lead abroad
    ("Iceland", "IS"),
    ("Africa/Asmera", "ER"),
    ("Africa/Timbuktu", "ML"),
    ("Pacific/Truk", "FM"),
    ("America/Virgin", "VI"),
    ("America/Coral_Harbour", "CA"),
    # no country
    ("UTC", ""),
    ("Etc/GMT+5", ""),
    ("CET", ""),
    ("EST", ""),
    ("Europe/Atlantis", ""),
    ("", ""),
]


@pytest.mark.parametrize(("timezone", "country"), ZONES)
def test_time_zones_have_countries(timezone: str, country: str) -> None:
    assert zone_country(timezone) == country


def test_every_regional_time_zone_has_a_country_with_a_name() -> None:
    regional = {zone for zone in zoneinfo.available_timezones() if "/" in zone and not zone.startswith("Etc/")}
    assert len(regional) > 500
    for zone in regional:
        assert country_name(zone_country(zone)) not in ("", zone_country(zone)), zone


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("DE", "Germany"),
        ("GB", "United Kingdom"),
        ("KR", "South Korea"),
        ("CD", "DR Congo"),
        ("SZ", "Eswatini"),
        ("ZZ", "ZZ"),
        ("", ""),
    ],
)
def test_countries_have_names(code: str, name: str) -> None:
    assert country_name(code) == name


# With an .mmdb file

BERLIN = {
    "country": {"iso_code": "DE", "names": {"en": "Germany", "de": "Deutschland"}},
    "subdivisions": [{"iso_code": "BE", "names": {"en": "State of Berlin"}}],
    "city": {"names": {"de": "Berlin (Mitte)", "en": "Berlin"}},
}
RECORDS = {
    "1.2.3.0/24": BERLIN,
    "2001:db8::/32": {"country": {"iso_code": "fr"}, "city": {"names": {"en": "Paris"}}},
    # DB-IP's free file has no codes of subdivisions
    "1.2.4.0/24": {"country": {"iso_code": "US"}, "subdivisions": [{"names": {"en": "California"}}]},
    # IPinfo's files are flat
    "1.2.5.0/24": {"country": "CA", "region": "Quebec", "city": "Montreal"},
    "1.2.6.0/24": {"country": "Canada", "country_code": "CA"},
    "1.2.7.0/24": {"registered_country": {"iso_code": "SE"}},
    "10.0.0.0/8": {"country": {"iso_code": "AT"}, "city": {"names": {"en": "Our office"}}},
    # nothing to go by
    "8.8.8.0/24": {"city": {"names": {"en": "Nowhere"}}},
    "81.2.69.0/24": {"country": {"iso_code": "ZZ"}},
    "193.0.6.0/24": {"country": {"iso_code": "NL"}, "subdivisions": {}, "city": ["odd"]},
    "133.11.0.0/16": "odd",
}
PLACES = [
    ("1.2.3.4", Place("DE", "DE-BE", "Berlin")),
    ("::ffff:1.2.3.4", Place("DE", "DE-BE", "Berlin")),
    ("1.2.3.4:443", Place("DE", "DE-BE", "Berlin")),
    ("2001:db8::1", Place("FR", "", "Paris")),
    ("[2001:db8::1]:443", Place("FR", "", "Paris")),
    ("1.2.4.1", Place("US", "California", "")),
    ("1.2.5.1", Place("CA", "Quebec", "Montreal")),
    ("1.2.6.1", Place("CA", "", "")),
    ("1.2.7.1", Place("SE", "", "")),
    ("10.1.2.3", Place("AT", "", "Our office")),
    # from iptocc
    ("8.8.8.8", Place("US", "", "")),
    ("81.2.69.160", Place("GB", "", "")),
    ("133.11.0.1", Place("JP", "", "")),
    ("2001:4860:4860::8888", Place("US", "", "")),
    # strange fields are left out
    ("193.0.6.139", Place("NL", "", "")),
    ("rubbish", NOWHERE),
]


@pytest.fixture(scope="module")
def located(tmp_path_factory: pytest.TempPathFactory) -> Locator:
    return Locator(write_mmdb(tmp_path_factory.mktemp("geo") / "city.mmdb", RECORDS))


@pytest.mark.parametrize(("address", "place"), PLACES)
def test_locates_cities(located: Locator, address: str, place: Place) -> None:
    assert located.locate(address) == place


def test_the_time_zone_is_the_last_resort(located: Locator) -> None:
    assert located.locate("192.168.1.1", "Europe/Oslo") == Place("NO", "", "")
    assert located.locate("10.1.2.3", "Europe/Oslo").country == "AT"


def test_a_database_of_ipv4_alone_leaves_ipv6_to_iptocc(tmp_path: Path) -> None:
    locator = Locator(write_mmdb(tmp_path / "v4.mmdb", {"1.2.3.0/24": BERLIN}, ip_version=4))
    with structlog.testing.capture_logs() as logs:
        assert locator.locate("1.2.3.4").city == "Berlin"
        assert locator.locate("2001:4860:4860::8888") == Place("US", "", "")
    assert logs == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.mmdb cannot be read"):
        Locator(tmp_path / "gone.mmdb")


@pytest.mark.parametrize("content", [b"", b"not a database", b"\xab\xcd\xefMaxMind.com", bytes(4_096)])
def test_a_file_that_is_no_database_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.mmdb"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.mmdb cannot be read"):
        Locator(path)


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        Locator(tmp_path)


def test_a_database_that_lost_its_beginning_is_named(tmp_path: Path) -> None:
    path = write_mmdb(tmp_path / "cut.mmdb", RECORDS)
    path.write_bytes(path.read_bytes()[-400:])
    with pytest.raises(ValueError, match=r"cut\.mmdb"):
        Locator(path)


def test_a_damaged_record_is_left_out_and_logged_once(tmp_path: Path) -> None:
    path = write_mmdb(tmp_path / "damaged.mmdb", {"1.2.3.0/24": BERLIN, "8.8.8.0/24": BERLIN})
    # The second copy of the record: its first key becomes a pointer beyond the end of the file.
    content = bytearray(path.read_bytes())
    place = content.rindex(b"\x47country")
    content[place : place + 5] = b"\x38\xff\xff\xff\xff"
    path.write_bytes(content)
    locator = Locator(path)
    with structlog.testing.capture_logs() as logs:
        assert locator.locate("8.8.8.8") == Place("US", "", "")
        assert locator.locate("8.8.8.9") == Place("US", "", "")
        assert locator.locate("1.2.3.4").city == "Berlin"
    assert [(entry["log_level"], entry["path"]) for entry in logs] == [("warning", str(path))]


def test_a_deleted_file_keeps_working(tmp_path: Path) -> None:
    path = write_mmdb(tmp_path / "city.mmdb", RECORDS)
    locator = Locator(path)
    path.unlink()
    assert locator.locate("1.2.3.4").city == "Berlin"
