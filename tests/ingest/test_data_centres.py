"""An operator's file of data centres: read, wrong, changed, gone."""

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.ingest.data_centres import DataCentres

LIST = """\
# Clouds
3.0.0.0/9        # the first
2a05:d000::/25

198.51.100.7
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "centres.txt"
    path.write_text(LIST)
    return path


def replace(path: Path, text: str) -> None:
    """As one does: another file under the same name."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)


def test_addresses_of_both_families_are_found(path: Path) -> None:
    centres = DataCentres(path)
    assert centres
    assert centres.reading is not None
    assert (centres.reading.networks, centres.reading.error) == (3, "")
    found = [
        a for a in ("3.1.2.3", "3.128.0.0", "2a05:d07f:1::2", "2a06::", "198.51.100.7", "", "nobody") if a in centres
    ]
    assert found == ["3.1.2.3", "2a05:d07f:1::2", "198.51.100.7"]


def test_without_a_file_there_are_none() -> None:
    centres = DataCentres()
    assert not centres
    assert "3.1.2.3" not in centres
    assert centres.reading is None


@pytest.mark.parametrize("text", ["", "# nothing\n\n", "\ufeff# with a mark of UTF-8\r\n3.0.0.0/9\r\n"])
def test_files_as_editors_write_them(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    assert ("3.1.2.3" in DataCentres(path)) is ("3.0.0.0/9" in text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3.0.0.0/9\n\n# remark\n3.0.0.0/33\n", "line 4: '3.0.0.0/33' is no network"),
        ("ip,country\n", "line 1: 'ip,country' is no network"),
        ("3.0.0.0 - 3.0.0.9\n", "line 1: '3.0.0.0 - 3.0.0.9' is no network"),
        ("\x1f\x8b\x08\n", "line 1:"),
        ("x" * 100_000, "line 1:"),
    ],
)
def test_a_bad_line_is_named_by_its_number(path: Path, text: str, said: str) -> None:
    path.write_text(text)
    with pytest.raises(ValueError, match="is no network") as caught:
        DataCentres(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(ValueError, match="cannot be read") as caught:
            DataCentres(path)
        assert str(path) in str(caught.value)


async def test_it_is_read_again_when_it_has_changed(path: Path) -> None:
    centres = DataCentres(path)
    first = centres.reading
    await centres.refresh()
    assert centres.reading is first
    assert "203.0.113.7" not in centres
    replace(path, "203.0.113.0/24\n")
    await centres.refresh()
    assert "203.0.113.7" in centres
    assert "3.1.2.3" not in centres


async def test_what_cannot_be_read_leaves_what_was_read_and_is_said_once(path: Path) -> None:
    centres = DataCentres(path)
    replace(path, "203.0.113.0/24\nnonsense\n")
    with capture_logs() as log:
        for _ in range(3):
            await centres.refresh()
        path.unlink()
        for _ in range(3):
            await centres.refresh()
    assert ["line 2" in log[0]["error"], "cannot be read" in log[1]["error"], len(log)] == [True, True, 2]
    assert "3.1.2.3" in centres
    assert "203.0.113.7" not in centres
    assert centres.reading is not None
    assert centres.reading.networks == 3
    assert "cannot be read" in centres.reading.error
    path.write_text("203.0.113.0/24\n")
    await centres.refresh()
    assert "203.0.113.7" in centres
    assert centres.reading.error == ""
