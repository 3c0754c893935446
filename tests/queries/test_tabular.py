"""Cells that a spreadsheet would run do nothing there."""

import pytest

from appliance.queries.tabular import csv_bytes, neutral


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_what_begins_like_a_formula_is_a_text(first: str) -> None:
    assert neutral(f"{first}1+1") == f"'{first}1+1"


def test_other_cells_stay_as_they_are() -> None:
    assert csv_bytes([["a=b", 'say "x"', -1, None, 2.5]]) == b'a=b,"say ""x""",-1,,2.5\r\n'
