"""Packages that others only import."""

import subprocess
import sys
import textwrap
import unittest
from pathlib import Path

from dacapo.stand_ins.jiter import from_json


class Cryptography(unittest.TestCase):
    def run_with(self, program):
        begin = "from dacapo import stand_ins\nstand_ins.install()\n"
        line = [sys.executable, "-c", begin + textwrap.dedent(program)]
        done = subprocess.run(line, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
        self.assertEqual(done.stderr, "")

    def test_it_can_be_imported_and_says_where_it_is_used(self):
        self.run_with("""
            from typing import Optional, Union
            import cryptography
            from cryptography import x509
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives import hashes, serialization
            from cryptography.hazmat.primitives.ciphers import Cipher

            annotation = Union[Optional[Cipher], hashes.SHA256]

            class Own(Cipher):
                pass

            assert not isinstance(5, Cipher)
            try:
                raise ValueError()
            except InvalidSignature:
                raise AssertionError()
            except ValueError:
                pass
            for use in (hashes.SHA256, x509.load_pem_x509_certificate, Own, Cipher.encryptor):
                try:
                    use()
                except NotImplementedError as error:
                    assert "machine code of `cryptography`" in str(error), error
                else:
                    raise AssertionError(use)
            try:
                hashes.SHA256()
            except NotImplementedError as error:
                assert str(error).startswith("`cryptography.hazmat.primitives.hashes.SHA256` is not available"), error
        """)

    def test_who_can_do_without_it_is_told_that_there_is_none(self):
        self.run_with("""
            def optional():
                try:
                    from cryptography.hazmat.primitives.hashes import SHA256
                except ModuleNotFoundError:
                    return None
                except ImportError:
                    return "a name"
                return SHA256

            assert optional() is None
            from cryptography.hazmat.primitives.hashes import SHA256
            assert optional() == "a name"
        """)

    def test_jiter_is_python(self):
        self.run_with("""
            from jiter import from_json
            import jiter
            assert jiter.from_json is from_json and from_json(b"[1]") == [1]
        """)


class Jiter(unittest.TestCase):
    def test_whole_texts(self):
        self.assertEqual(from_json(b'{"a": [1.5, "x", null]}'), {"a": [1.5, "x", None]})
        with self.assertRaises(ValueError):
            from_json(b'{"a": [1')

    def test_texts_that_end_early(self):
        for begun, value, with_string in (
            (b'{"a": [1, 2', {"a": [1, 2]}, {"a": [1, 2]}),
            (b'{"a": "he', {}, {"a": "he"}),
            (b'{"a": 1, "b', {"a": 1}, {"a": 1}),
            (b'{"a": 1, "b": {"c": "x\\', {"a": 1, "b": {}}, {"a": 1, "b": {"c": "x"}}),
            (b"[tr", [], []),
        ):
            self.assertEqual(from_json(begun, partial_mode=True), value)
            self.assertEqual(from_json(begun, partial_mode="trailing-strings"), with_string)


if __name__ == "__main__":
    unittest.main()
