"""Event files: the bytes that TensorBoard reads."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.event_file import EventFile, crc32c, masked_crc32c


def records(path: Path) -> list[bytes]:
    """The records of a file, each checksum looked at."""
    content, found, place = path.read_bytes(), [], 0
    while place < len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        assert struct.unpack_from("<I", content, place + 8)[0] == masked_crc32c(content[place : place + 8])
        event = content[place + 12 : place + 12 + length]
        assert struct.unpack_from("<I", content, place + 12 + length)[0] == masked_crc32c(event)
        found.append(event)
        place += 16 + length
    return found


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_checksums_are_those_of_the_standard(content: bytes, expected: int) -> None:
    """The examples of RFC 3720, appendix B.4, and the usual check value."""
    assert crc32c(content) == expected


@given(st.binary(min_size=1, max_size=64), st.integers(0, 511))
def test_a_flipped_bit_shows(content: bytes, bit: int) -> None:
    """A checksum never stays the same when one bit of what it is over changes."""
    place, mask = (bit // 8) % len(content), 1 << (bit % 8)
    altered = content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :]
    assert masked_crc32c(content) != masked_crc32c(altered)


def test_a_point_is_an_event(tmp_path: Path) -> None:
    """The file begins with its version; a point holds time, step, name and value."""
    file = EventFile(tmp_path / "run", 1_700_000_000.0)
    file.scalar("loss", 0.5, 300, 1_700_000_001.5)
    file.close()
    (path,) = (tmp_path / "run").iterdir()
    assert path.name == "events.out.tfevents.1700000000.bot.v2"
    version, point = records(path)
    assert version == b"\x09" + struct.pack("<d", 1.7e9) + b"\x1a\x0dbrain.Event:2"
    value = b"\x0a\x04loss\x15" + struct.pack("<f", 0.5)
    assert (
        point == b"\x09" + struct.pack("<d", 1_700_000_001.5) + b"\x10\xac\x02" + b"\x2a\x0d\x0a\x0b" + value
    )


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    """A second file of the same second in the same folder is refused, and the first stays."""
    EventFile(tmp_path, 1.0).close()
    before = next(tmp_path.iterdir()).read_bytes()
    with pytest.raises(FileExistsError):
        EventFile(tmp_path, 1.0)
    assert next(tmp_path.iterdir()).read_bytes() == before
