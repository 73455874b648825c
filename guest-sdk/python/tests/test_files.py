"""Files in memory: those of archives, and those below `/tmp`."""

import io
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path
from unittest import mock

from dacapo import packing
from dacapo.files import Archive


class Archives(unittest.TestCase):
    def packed(self, **contents):
        with tempfile.TemporaryDirectory() as folder:
            for name, content in contents.items():
                path = Path(folder, name.replace("__", "/").replace("_", "."))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            packing.pack(Path(folder))
            return Archive(io.BytesIO(Path(folder, packing.ARCHIVE).read_bytes()))

    def test_files_are_found_by_their_paths(self):
        archive = self.packed(top_txt=b"short", a__b__deep_json=b"long" * 1000, a__empty=b"")
        self.assertEqual(archive.find("top.txt").content(), b"short")
        self.assertEqual(archive.find("a/b/deep.json").content(), b"long" * 1000)
        self.assertEqual(archive.find("a/empty").content(), b"")
        self.assertEqual(sorted(archive.find("").names()), ["a", "top.txt"])
        self.assertEqual(archive.find("a").names(), ["b", "empty"])
        self.assertEqual(archive.find("a/b/deep.json").stat().st_size, 4000)
        for missing in ("b", "a/c", "top.txt/a", "a/b/deep.json/c"):
            self.assertIsNone(archive.find(missing), missing)

    def test_what_a_component_cannot_run_is_left_out(self):
        archive = self.packed(a_so=b"x", a_pyc=b"x", a_py=b"x", a_pyi=b"x")
        self.assertEqual(archive.find("").names(), ["a.py"])


class TheStandardLibrary(unittest.TestCase):
    def test_of_two_builds_at_once_the_slower_one_uses_the_copy_of_the_other(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(sys, "prefix", str(Path(folder, "prefix"))):
            library = Path(folder, "library")
            library.mkdir()
            Path(sys.prefix, "json").mkdir(parents=True)
            Path(sys.prefix, "json", "decoder.py").write_text("one")
            packing.copy_standard_library(library)
            Path(sys.prefix, "json", "decoder.py").write_text("two")
            packing.copy_standard_library(library)
            self.assertEqual([path.name for path in library.iterdir()], [packing.STANDARD_LIBRARY])
            self.assertEqual((library / packing.STANDARD_LIBRARY / "json/decoder.py").read_text(), "one")


class WithoutAFileSystem(unittest.TestCase):
    """Each runs in a process of its own, whose functions for files are replaced as in a component."""

    def run_settled(self, program):
        begin = """
            import os, sys
            from pathlib import Path
            from dacapo import files, packing
            app = Path(sys.argv[1], "app")
            app.joinpath("data").mkdir(parents=True)
            app.joinpath("data", "own.txt").write_text("own")
            app.joinpath("late.py").write_text("value = 5")
            packing.pack(app)
            files.keep("/kept", str(app / packing.ARCHIVE))
            files.show("/shown", "/kept", "data")
            files.install("/kept")
            files.files._has_real_temporary = False
            files.settle()
        """
        with tempfile.TemporaryDirectory() as folder:
            line = [sys.executable, "-c", textwrap.dedent(begin) + textwrap.dedent(program), folder]
            done = subprocess.run(line, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
        self.assertEqual(done.stderr, "")

    def test_files_of_the_app_are_read(self):
        self.run_settled("""
            assert open("/kept/data/own.txt").read() == open("data/own.txt").read() == Path("/shown/own.txt").read_text() == "own"
            assert sorted(os.listdir("/kept")) == ["data", "late.py"]
            assert [path.name for path in Path("/kept").rglob("*.txt")] == ["own.txt"]
            assert os.path.isdir("/kept/data") and not os.path.exists("/kept/other")
            assert os.stat("data/own.txt").st_size == 3 and not os.access("data/own.txt", os.W_OK)
            sys.path.append("/kept")
            import late
            assert late.value == 5
            for refused in (lambda: open("/kept/data/own.txt", "w"), lambda: os.remove("/kept/late.py")):
                try:
                    refused()
                except OSError as error:
                    assert "Read-only" in str(error), error
                else:
                    raise AssertionError("it was not refused")
        """)

    def test_real_files_stay(self):
        self.run_settled("""
            real = Path(sys.argv[1], "real.txt") if not sys.argv[1].startswith("/tmp") else Path("/dev/null")
            assert os.path.exists(real) and os.path.exists(os.__file__)
            assert "def " in open(os.__file__).read()
        """)

    def test_temporary_files_are_in_memory(self):
        self.run_settled("""
            import gzip, shutil, tempfile, zipfile
            assert os.listdir("/tmp") == []
            with tempfile.NamedTemporaryFile("w+", suffix=".txt") as file:
                file.write("one\\ntwo")
                file.flush()
                file.seek(0)
                assert file.read() == "one\\ntwo" and open(file.name).readlines() == ["one\\n", "two"]
            assert os.listdir("/tmp") == []
            with tempfile.TemporaryDirectory() as folder:
                deep = Path(folder, "a", "b")
                deep.mkdir(parents=True)
                with open(deep / "c.bin", "wb") as file:
                    file.write(b"123")
                    file.seek(6)
                    file.write(b"4")
                assert (deep / "c.bin").read_bytes() == b"123\\0\\0\\0" + b"4"
                with open(deep / "c.bin", "ab+") as file:
                    file.write(b"5")
                    file.seek(0)
                    assert file.read() == b"123\\0\\0\\0" + b"45"
                with open(deep / "c.bin", "r+b") as file:
                    file.truncate(2)
                assert (deep / "c.bin").stat().st_size == 2
                with zipfile.ZipFile(f"{folder}/z.zip", "w") as archive:
                    archive.writestr("a.txt", "A")
                    archive.write("/kept/data/own.txt", "own.txt")
                shutil.copy(f"{folder}/z.zip", f"{folder}/y.zip")
                os.replace(f"{folder}/y.zip", f"{folder}/z.zip")
                assert zipfile.ZipFile(f"{folder}/z.zip").read("own.txt") == b"own"
                with gzip.open(f"{folder}/g", "wt") as file:
                    file.write("zipped")
                assert gzip.open(f"{folder}/g", "rt").read() == "zipped"
                try:
                    os.rmdir(f"{folder}/a")
                except OSError as error:
                    assert "not empty" in str(error)
            assert os.listdir("/tmp") == []
            descriptor, name = tempfile.mkstemp()
            assert os.write(descriptor, b"abc") == 3 and os.fstat(descriptor).st_size == 3
            os.close(descriptor)
            assert open(name, "rb").read() == b"abc"
            os.remove(name)
            with tempfile.TemporaryFile() as file:
                file.write(b"x" * 100)
                file.seek(50)
                assert len(file.read()) == 50
            for wrong in (lambda: open("/tmp/none"), lambda: open("/tmp/none/x", "w"), lambda: os.listdir("/tmp/none")):
                try:
                    wrong()
                except FileNotFoundError as error:
                    assert "/tmp/none" in str(error)
        """)


if __name__ == "__main__":
    unittest.main()
