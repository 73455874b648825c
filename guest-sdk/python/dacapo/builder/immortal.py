"""Makes objects in the memory of a component immortal (PEP 683): their reference counts never change again.

The instances of a component share its initial memory until they write to it, and most writes are to reference counts.
"""

from __future__ import annotations

import bisect
import struct
from array import array
from collections.abc import Iterator
from pathlib import Path

# The values of the compiler's CPython, on 32 bits.
_IMMORTAL = 5 << 28
_LEAST_IMMORTAL = 1 << 30

_CORE_MODULE, _COMPONENT = 1, 4
"""Sections of a component that hold others."""
_DATA = 11
"""The section of a core module with the contents of its memory."""
_I32_CONST, _END = 0x41, 0x0B


class UnknownLayout(Exception):
    """The component does not have the layout that this version of the compiler makes."""


def immortalise(component: Path, addresses: array) -> None:
    """Makes the objects at these addresses immortal. An address may occur several times."""
    data = bytearray(component.read_bytes())
    segments = sorted(_segments(data))
    starts = [segment[0] for segment in segments]
    for address in addresses:
        start, offset, size = segments[bisect.bisect_right(starts, address) - 1]
        if address > start + size - 4:
            continue  # zero-initialised memory, not in the file: a static object without references
        at = offset + address - start
        (count,) = struct.unpack_from("<I", data, at)
        if count < _LEAST_IMMORTAL:
            struct.pack_into("<I", data, at, _IMMORTAL)
    component.write_bytes(data)


def _segments(data: bytearray) -> Iterator[tuple[int, int, int]]:
    """The segments of the memory: the address, the offset in the file, and the number of bytes."""
    for module in _modules(data, 0, len(data)):
        for kind, start, end in _sections(data, *module):
            if kind == _DATA:
                yield from _active_segments(data, start, end)


def _modules(data: bytearray, start: int, end: int) -> Iterator[tuple[int, int]]:
    for kind, inner_start, inner_end in _sections(data, start, end):
        if kind == _CORE_MODULE:
            yield inner_start, inner_end
        elif kind == _COMPONENT:
            yield from _modules(data, inner_start, inner_end)


def _sections(data: bytearray, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The sections of a module or a component, after its header of eight bytes."""
    at = start + 8
    while at < end:
        kind = data[at]
        size, at = _unsigned(data, at + 1)
        yield kind, at, at + size
        at += size


def _active_segments(data: bytearray, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    count, at = _unsigned(data, start)
    for _ in range(count):
        # Only active segments of memory 0 at a constant address are supported.
        if data[at] != 0 or data[at + 1] != _I32_CONST:
            raise UnknownLayout("its memory is not all in place")
        address, at = _unsigned(data, at + 2)
        if data[at] != _END:
            raise UnknownLayout("an address is computed")
        size, at = _unsigned(data, at + 1)
        yield address, at, size
        at += size
    assert at == end


def _unsigned(data: bytearray, at: int) -> tuple[int, int]:
    """Reads a number in LEB128. Returns it and the offset after it. Addresses are signed, but never negative here."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
