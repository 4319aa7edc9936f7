"""Event files as TensorBoard reads them, written without TensorFlow or TensorBoard.

A file is a row of TFRecords: length (uint64), masked CRC-32C of the length, the bytes, masked CRC-32C of the bytes,
all little-endian (https://www.tensorflow.org/tutorials/load_data/tfrecord). Each holds one ``Event`` message of
``tensorflow/core/util/event.proto``; the numbers below are the fields of that file and of ``summary.proto``,
``tensor.proto`` and ``tensor_shape.proto``.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, its bits reversed
_STRING_TYPE = 7  # DT_STRING
_TENSOR_DATA = 2  # DATA_CLASS_TENSOR


def _crc_table() -> tuple[int, ...]:
    """The checksum of each byte."""
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC_OF_BYTE = _crc_table()


def crc32c(content: bytes) -> int:
    """CRC-32C (Castagnoli) of some bytes; of ``b"123456789"`` it is 0xE3069283 (RFC 3720, B.4 has more)."""
    value = 0xFFFFFFFF
    for byte in content:
        value = (value >> 8) ^ _CRC_OF_BYTE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def masked_crc32c(content: bytes) -> int:
    """The checksum as TFRecords hold it: rotated by 15 bits, plus a constant."""
    value = crc32c(content)
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


class EventFile:
    """A new event file; every method raises OSError where the disk refuses.

    Args:
        folder: Made if missing; there must be no event file of this second in it.
        seconds: Unix time of the beginning.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard takes every name with "tfevents"; the usual one would end with this machine's name.
        self._file: BinaryIO = (folder / f"events.out.tfevents.{int(seconds):010d}.bot.v2").open("xb")
        self._write(_double(1, seconds) + _bytes(3, b"brain.Event:2"))

    def scalar(self, tag: str, value: float, step: int, seconds: float) -> None:
        """One point of a curve; ``step`` is at least 0."""
        point = _bytes(1, tag.encode()) + _float(2, value)
        self._write(_double(1, seconds) + _integer(2, step) + _bytes(5, _bytes(1, point)))

    def text(self, tag: str, markdown: str, seconds: float) -> None:
        """A text, which TensorBoard shows as Markdown."""
        tensor = _integer(1, _STRING_TYPE) + _bytes(2, b"") + _bytes(8, markdown.encode())
        about = _bytes(1, _bytes(1, b"text")) + _integer(4, _TENSOR_DATA)
        value = _bytes(1, tag.encode()) + _bytes(8, tensor) + _bytes(9, about)
        self._write(_double(1, seconds) + _bytes(5, _bytes(1, value)))

    def flush(self) -> None:
        """Let readers see what was written."""
        self._file.flush()

    def close(self) -> None:
        """Write what is left; nothing can be added afterwards."""
        self._file.close()

    def _write(self, event: bytes) -> None:
        """Append one record."""
        length = struct.pack("<Q", len(event))
        checks = struct.pack("<I", masked_crc32c(length)), struct.pack("<I", masked_crc32c(event))
        self._file.write(length + checks[0] + event + checks[1])


def _varint(value: int) -> bytes:
    """A whole number from 0 as protocol buffers write it: seven bits a byte, lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)
