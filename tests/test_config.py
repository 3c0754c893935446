"""Settings come from flags, then the environment, then defaults; what cannot be used is named."""

from pathlib import Path

import pytest

from appliance.config import Settings, load, table
from appliance.errors import ConfigurationError


def test_defaults() -> None:
    assert load({}) == Settings()


def test_the_environment_and_flags_over_it() -> None:
    environment = {"APPLIANCE_PORT": "9000", "APPLIANCE_HOST": "0.0.0.0", "APPLIANCE_OPEN_REGISTRATION": "yes"}
    settings = load(environment, port="9001", host=None)
    assert (settings.port, settings.host, settings.open_registration) == (9001, "0.0.0.0", True)


def test_lists_and_paths() -> None:
    environment = {"APPLIANCE_TRUSTED_PROXIES": "10.0.0.0/8, ::1", "APPLIANCE_DATA_DIR": "/srv/data"}
    settings = load(environment)
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")
    assert settings.data_dir == Path("/srv/data")


def test_origins_are_kept_as_browsers_send_them() -> None:
    given = "https://App.example.com, https://a.example.com:443,http://b.example.com:80, http://[::1]:3000,"
    assert load({"APPLIANCE_READ_ORIGINS": given}).read_origins == (
        "https://app.example.com",
        "https://a.example.com",
        "http://b.example.com",
        "http://[::1]:3000",
    )
    assert load({"APPLIANCE_READ_ORIGINS": "http://a.example.com:443"}).read_origins == ("http://a.example.com:443",)


def test_secrets_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("correct horse\n")
    assert load({"APPLIANCE_ADMIN_PASSWORD_FILE": str(secret)}).admin_password == "correct horse"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("APPLIANCE_PORT", "many", "a whole number"),
        ("APPLIANCE_PORT", "-1", "below 0"),
        ("APPLIANCE_DURABILITY", "maybe", "fsync, os"),
        ("APPLIANCE_OPEN_REGISTRATION", "perhaps", "true or false"),
        ("APPLIANCE_TRUSTED_PROXIES", "everybody", "everybody"),
        *(
            ("APPLIANCE_READ_ORIGINS", origin, "https://app.example.com")
            for origin in (
                "*",
                "https://*",
                "https://*.example.com",
                "app.example.com",
                "ftp://app.example.com",
                "https://",
                "https://app.example.com/",
                "https://app.example.com/x",
                "https://app.example.com?x",
                "https://ada@app.example.com",
                "https://app.example.com:",
                "https://app.example.com:123456",
                "https://app example.com",
                "null",
                "https://app.example.com, *",
            )
        ),
        ("APPLIANCE_PORT", "65536", "above 65535"),
        ("APPLIANCE_PUBLIC_URL", "stats.example.com", "https://stats.example.com"),
        ("APPLIANCE_PUBLIC_URL", "https://", "https://stats.example.com"),
        ("APPLIANCE_DATABASE_READ_URL", "mysql://reader", "postgresql://"),
        ("APPLIANCE_SCRIPT_NAME", "{x}.js", "a.js"),
        ("APPLIANCE_SCRIPT_NAME", "a b.js", "a.js"),
        ("APPLIANCE_ADMIN_PASSWORD_FILE", "/bin/sh", "UTF-8"),
        ("APPLIANCE_JOURNAL_BYTES_MAX", "10", "below"),
        ("APPLIANCE_ADMIN_PASSWORD_FILE", "/nowhere/at/all", "cannot read"),
    ],
)
def test_what_cannot_be_used_is_named(variable: str, value: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=variable) as raised:
        load({variable: value})
    assert said in str(raised.value)


def test_where_to_listen_and_to_write_is_the_default_where_nothing_is_said() -> None:
    given = load({"APPLIANCE_HOST": "", "APPLIANCE_DATA_DIR": " ", "APPLIANCE_PUBLIC_URL": ""})
    assert given == Settings()


def test_what_has_the_right_shape_is_taken() -> None:
    for url in ("https://stats.example.com", "http://localhost:8000/", "https://example.com/stats"):
        assert load({"APPLIANCE_PUBLIC_URL": url}).public_url == url
    for name in ("a.js", "/s/a.js", "js/my-script_1.min.js"):
        assert load({"APPLIANCE_SCRIPT_NAME": name}).script_name == name


def test_every_setting_has_help() -> None:
    assert all(info.help.endswith((".", ".)")) or info.help for info in table())
    assert {info.name for info in table()} == set(Settings.__struct_fields__)
