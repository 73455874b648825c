"""The parts of an app that the builder reads before it runs the compiler."""

import contextlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import build
from dacapo.builder.requirements import BuildError, Requirement, read_requirements, with_brought_along


class Requirements(unittest.TestCase):
    def read(self, **files):
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                data = content if isinstance(content, bytes) else content.encode()
                Path(folder, name.replace("_", ".")).write_bytes(data)
            return with_brought_along(read_requirements(Path(folder)), imported=set())

    def test_lines_without_comments_and_what_the_sdk_provides(self):
        text = "azure-functions\nAzure_Functions.Durable>=1.2 # df\n\nmoment==1.0  # dates\n-r more.txt\n"
        read = self.read(requirements_txt=text, more_txt="one \\\n  >=1\ntwo \\")
        self.assertEqual(
            read,
            [
                Requirement("moment==1.0", "requirements.txt, line 4"),
                Requirement("one   >=1", "more.txt, line 2"),
                Requirement("two", "more.txt, line 4"),
            ],
        )

    def test_what_powershell_writes(self):
        for encoding in ("utf-16", "utf-8-sig"):
            (read,) = self.read(requirements_txt="moment\r\n".encode(encoding))
            self.assertEqual(read.text, "moment")

    def test_a_pyproject(self):
        read = self.read(pyproject_toml='[project]\ndependencies = ["dacapo", "moment"]\n')
        self.assertEqual(read, [Requirement("moment", "pyproject.toml")])

    def test_what_cannot_be_read_is_named(self):
        for files, words in (
            ({"requirements_txt": b"\xff\xff"}, "requirements.txt is not UTF-8"),
            ({"requirements_txt": "-r other.txt"}, "other.txt cannot be read"),
            ({"pyproject_toml": "[project"}, "pyproject.toml is not TOML"),
            ({"pyproject_toml": "project = 3"}, "must be a list of texts"),
            ({"pyproject_toml": "[project]\ndependencies = 'moment'"}, "must be a list of texts"),
        ):
            with self.subTest(words), self.assertRaisesRegex(BuildError, words):
                self.read(**files)


class BroughtAlong(unittest.TestCase):
    """What the original's packages require themselves."""

    def names(self, *stated, imported):
        requirements = [Requirement(text, "requirements.txt, line 1") for text in stated]
        return [requirement.text for requirement in with_brought_along(requirements, set(imported))]

    def test_it_comes_if_the_app_imports_it(self):
        self.assertEqual(self.names("azure-functions-durable", imported=["requests", "dateutil", "json"]), ["python-dateutil", "requests"])
        self.assertEqual(self.names("azure-functions-durable", imported=["werkzeug", "os"]), ["werkzeug"])
        self.assertEqual(self.names("azure-functions", imported=["requests"]), [])
        self.assertEqual(self.names("azure-functions-durable==1.2", "requests==2.31", imported=["requests"]), ["requests==2.31"])

    def test_hashes_are_exact(self):
        self.assertEqual(self.names("azure-functions-durable", "six==1 --hash=sha256:00", imported=["requests"]), ["six==1 --hash=sha256:00"])


class TheReport(unittest.TestCase):
    """What the app writes when the compiler has loaded it."""

    def componentize(self, report, code=0):
        with tempfile.TemporaryDirectory() as folder:
            stage, out = Path(folder), Path(folder, "app.wasm")

            def compiled(*_, **__):
                (stage / "dacapo-report.json").write_text(json.dumps(report))
                (stage / build.image.OBJECTS).write_bytes(b"")
                return mock.Mock(returncode=code, stdout="", stderr="it broke")

            with mock.patch.object(build.subprocess, "run", compiled), mock.patch.object(build, "immortalise"):
                return build.componentize(Path("compiler"), stage, [], out)

    def test_what_is_left_out_is_a_warning(self):
        report = {"functions": 3, "warnings": ["`a` is left out: why", "`b` has a retry policy"]}
        self.assertEqual(self.componentize(report), build.Loaded(3, report["warnings"]))

    def test_an_error_of_the_app_is_that_of_the_build(self):
        self.assertEqual(self.componentize({"error": "the app is wrong"}, code=1).error, "the app is wrong")
        with self.assertRaisesRegex(BuildError, "the compiler failed:\nit broke"):
            self.componentize({}, code=1)


class TheCommand(unittest.TestCase):
    """The command line of `build.py`."""

    def run_main(self, *arguments: str, building) -> tuple[int, str]:
        said = io.StringIO()
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "app.wasm")
            out.write_bytes(b"0" * (3 << 20))
            line = ["build.py", folder, "--out", str(out), *arguments]
            with (
                mock.patch.object(sys, "argv", line),
                mock.patch.object(build, "build", building),
                contextlib.redirect_stdout(said),
                contextlib.redirect_stderr(said),
            ):
                return build.main(), said.getvalue()

    def test_ctrl_c_is_no_error_to_trace(self):
        def interrupted(*_):
            raise KeyboardInterrupt

        self.assertEqual(self.run_main(building=interrupted), (130, ""))

    def test_sizes_are_in_mib_and_dacapo_says_them_itself(self):
        code, said = self.run_main(building=lambda *_: 2)
        self.assertEqual(code, 0)
        self.assertTrue(said.endswith("app.wasm: 2 functions, 3.0 MiB\n"), said)
        self.assertEqual(self.run_main("--no-summary", building=lambda *_: 2), (0, ""))


if __name__ == "__main__":
    unittest.main()
