"""One segment's bytes: what is written is read, and damage costs no more than it must."""

import random

import pytest

from appliance.ingest.segment import (
    HEADER_BYTES,
    RECORD_BYTES,
    Damage,
    DamagedHeader,
    Record,
    SegmentHeader,
    decode_header,
    encode_header,
    encode_records,
    file_name,
    number_of,
    records,
)

NUMBER = 7
PAYLOADS = [b"", b"a", b"one event", bytes(range(256)) * 5, b"\xa7REC looks like a record", b"the last"]


def written(payloads: list[bytes] = PAYLOADS, number: int = NUMBER) -> tuple[bytes, list[int]]:
    """A segment's records as one piece of bytes, and the offset after each."""
    data, ends = b"", []
    for payload in payloads:
        data += encode_records([payload], number)
        ends.append(len(data))
    return data, ends


def whole(data: bytes, number: int = NUMBER) -> list[bytes]:
    return [found.payload for found in records(data, number, 0, len(data)) if isinstance(found, Record)]


def test_header_comes_back() -> None:
    header = SegmentHeader(b"0123456789abcdef", 3, 12345, 1_700_000_000_000_000)
    encoded = encode_header(header)
    assert len(encoded) == HEADER_BYTES
    assert decode_header(encoded) == header


@pytest.mark.parametrize("cut", range(HEADER_BYTES))
def test_a_header_cut_anywhere_is_damaged(cut: int) -> None:
    encoded = encode_header(SegmentHeader(b"0123456789abcdef", 3, 0, 1))
    with pytest.raises(DamagedHeader):
        decode_header(encoded[:cut])


@pytest.mark.parametrize("bit", range(0, HEADER_BYTES * 8, 5))
def test_a_header_with_a_flipped_bit_is_damaged(bit: int) -> None:
    encoded = bytearray(encode_header(SegmentHeader(b"0123456789abcdef", 3, 0, 1)))
    encoded[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DamagedHeader):
        decode_header(bytes(encoded))


def test_names_sort_as_numbers() -> None:
    names = [file_name(n) for n in (1, 9, 10, 12345)]
    assert names == sorted(names)


def test_other_files_are_no_segments(tmp_path) -> None:
    assert number_of(tmp_path / file_name(42)) == 42
    for name in ("id", "lock", "0001.journal", "x" * 16 + ".journal", file_name(1) + ".tmp"):
        assert number_of(tmp_path / name) is None


def test_records_come_back_in_order_with_their_ends() -> None:
    data, ends = written()
    found = list(records(data, NUMBER, 0, len(data)))
    assert [(r.payload, r.end) for r in found if isinstance(r, Record)] == list(zip(PAYLOADS, ends, strict=True))


def test_records_of_another_segment_never_pass() -> None:
    data, _ = written(number=NUMBER + 1)
    assert whole(data) == []


def test_cut_at_every_byte_keeps_every_whole_record_before() -> None:
    data, ends = written()
    for cut in range(len(data) + 1):
        found = list(records(data[:cut], NUMBER, 0, cut))
        complete = sum(end <= cut for end in ends)
        assert [r.payload for r in found if isinstance(r, Record)] == PAYLOADS[:complete], f"cut at {cut}"
        torn = cut - ([0, *ends][complete])
        assert sum(d.length for d in found if isinstance(d, Damage)) == torn, f"cut at {cut}"


def test_a_flipped_bit_costs_the_record_it_is_in_and_no_other() -> None:
    data, ends = written()
    starts = [0, *ends[:-1]]
    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        hit = next(i for i, end in enumerate(ends) if bit // 8 < end)
        found = list(records(bytes(damaged), NUMBER, 0, len(damaged)))
        expected = PAYLOADS[:hit] + PAYLOADS[hit + 1 :]
        assert [r.payload for r in found if isinstance(r, Record)] == expected, f"bit {bit}"
        left_out = [d for d in found if isinstance(d, Damage)]
        assert [(d.offset, d.length) for d in left_out] == [(starts[hit], ends[hit] - starts[hit])], f"bit {bit}"


def test_random_damage_never_invents_a_record() -> None:
    chance = random.Random(20260101)
    payloads = [chance.randbytes(chance.randrange(300)) for _ in range(40)]
    data, _ = written(payloads)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(damaged))
            damaged[at : at + chance.randrange(1, 40)] = chance.randbytes(chance.randrange(0, 40))
        found = whole(bytes(damaged))
        kept = iter(payloads)
        assert all(any(payload == other for other in kept) for payload in found), "records out of order or invented"


def test_a_length_that_reaches_over_the_end_is_a_torn_tail() -> None:
    data = encode_records([b"x" * 1000], NUMBER)[: RECORD_BYTES + 10]
    (damage,) = records(data, NUMBER, 0, len(data))
    assert damage == Damage(0, len(data), "torn tail")
