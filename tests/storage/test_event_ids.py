"""Ids are stored small and come back exactly as they were sent."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.storage.event_ids import as_bytes, from_bytes, mint, pack, unpack


@pytest.mark.parametrize(
    ("event_id", "stored_length"),
    [
        ("0mfz3k9a1b2c3d", 10),
        ("zzzzzzzzzzzzzz", 10),
        ("00000000000000", 10),
        ("4f2a7c1e-9b3d-4e5f-8a6b-1c2d3e4f5a6b", 16),
        ("4F2A7C1E-9B3D-4E5F-8A6B-1C2D3E4F5A6B", 36),
        ("4f2a7c1e9b3d4e5f8a6b1c2d3e4f5a6b", 32),
        ("order-17", 8),
        ("ABCDEFGHIJKLMN", 14),
        ("", 0),
    ],
)
def test_known_forms_are_small(event_id: str, stored_length: int) -> None:
    stored = pack(event_id)
    assert len(stored) == stored_length
    assert unpack(stored) == event_id


@given(st.text(max_size=40) | st.uuids().map(str) | st.from_regex(r"[0-9a-z]{14}", fullmatch=True))
def test_any_id_comes_back(event_id: str) -> None:
    assert unpack(pack(event_id)) == event_id


@given(st.text(max_size=40), st.text(max_size=40))
def test_different_ids_are_stored_differently(one: str, other: str) -> None:
    assert (pack(one) == pack(other)) == (one == other)


def test_minted_ids_are_own_unique_and_ordered_by_time() -> None:
    ids = [mint(1_700_000_000_000 + n) for n in range(2000)]
    assert len(set(ids)) == 2000
    assert ids == sorted(ids)
    assert [pack(i) for i in ids] == sorted(pack(i) for i in ids)  # type: ignore[type-var]
    assert all(len(pack(i)) == 10 for i in ids)
    assert len({mint(1_700_000_000_000) for _ in range(2000)}) == 2000
    assert uuid.UUID(unpack(pack(str(uuid.uuid4()))))


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
    | st.uuids().map(str)
    | st.from_regex(r"[0-9a-z]{14}", fullmatch=True)
)
def test_what_a_column_of_bytes_holds_becomes_the_packed_form_again(event_id: str) -> None:
    assert from_bytes(as_bytes(pack(event_id))) == pack(event_id)
