"""Objects in the memory of a component are made immortal in place."""

import struct
import tempfile
import unittest
from array import array
from pathlib import Path

from dacapo.builder import immortal

IMMORTAL = 5 << 28


def number(value: int) -> bytes:
    """LEB128, as long as an address in a real component."""
    return bytes([value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14])


def segment(address: int, *words: int) -> bytes:
    content = struct.pack(f"<{len(words)}I", *words)
    return b"\x00\x41" + number(address) + b"\x0b" + number(len(content)) + content


def section(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + number(len(content)) + content


def component(*segments: bytes) -> bytes:
    module = b"\0asm\1\0\0\0" + section(1, b"types") + section(11, number(len(segments)) + b"".join(segments))
    inner = b"\0asm\x0d\0\1\0" + section(0, b"custom") + section(1, module)
    return b"\0asm\x0d\0\1\0" + section(4, inner)


def immortalised(before: bytes, *addresses: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "app.wasm")
        path.write_bytes(before)
        immortal.immortalise(path, array("I", addresses))
        return path.read_bytes()


class Immortal(unittest.TestCase):
    def test_counts_of_objects_and_nothing_else_change(self):
        before = component(segment(5000, 1, 77), segment(300, 2, 77, 3, 77))
        after = component(segment(5000, IMMORTAL, 77), segment(300, IMMORTAL, 77, IMMORTAL, 77))
        self.assertEqual(immortalised(before, 5000, 300, 308, 300), after)

    def test_what_is_immortal_stays_as_it_is_and_what_is_blank_too(self):
        before = component(segment(300, 7 << 28, 77))
        self.assertEqual(immortalised(before, 300, 308), before)

    def test_memory_that_is_not_all_in_place_is_refused(self):
        passive = b"\x01" + number(4) + b"\0\0\0\0"
        with self.assertRaises(immortal.UnknownLayout):
            immortalised(component(passive), 300)


if __name__ == "__main__":
    unittest.main()
