"""What is refused before the slow part of a build."""

import tempfile
import unittest
from pathlib import Path

from dacapo.builder import machine_code
from dacapo.builder.requirements import BuildError, Requirement

HERE = Path(__file__).parent.parent


class Refusals(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.app, self.packages = Path(directory.name, "app"), Path(directory.name, "packages")

    def write(self, folder, files):
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def check(self, files, *requirements):
        self.write(self.app, files)
        self.packages.mkdir(exist_ok=True)
        stated = [Requirement(text, f"requirements.txt, line {line}") for line, text in enumerate(requirements, 1)]
        left_out = machine_code.leave_out(self.app, lambda names: machine_code.check_names(self.app, stated, names))
        machine_code.drop(self.packages)
        return left_out + machine_code.leave_out(
            self.app, lambda names: machine_code.check(self.app, HERE, self.packages, stated, names)
        )

    def refused(self, files, *requirements):
        with self.assertRaises(BuildError) as raised:
            self.check(files, *requirements)
        return str(raised.exception)

    def test_a_known_package_is_refused_by_its_name(self):
        said = self.refused({"function_app.py": "import json\nimport pandas as pd\n"}, "azure-functions", "pandas>=2")
        self.assertEqual(
            said,
            'File "function_app.py", line 2, imports `pandas` (requirements.txt, line 2): that is machine code, which cannot run in a '
            "component; compute with Python's own types (`statistics`, `csv`, `decimal`), or in a service that an activity calls over "
            "HTTP",
        )

    def test_it_is_found_in_other_modules_of_the_app(self):
        said = self.refused({"function_app.py": "from lib import work", "lib/work.py": "from grpc import aio"}, "grpcio")
        self.assertIn('File "lib/work.py", line 1, imports `grpc` (requirements.txt, line 1)', said)
        self.app.joinpath("function_app.py").unlink()
        said = self.refused({"Step/function.json": "{}", "Step/__init__.py": "import numpy.linalg"})
        self.assertIn('File "Step/__init__.py", line 1', said)

    def test_a_function_in_a_folder_is_left_out(self):
        folder = {"Step/function.json": "{}", "Step/__init__.py": "import numpy", "Other/__init__.py": "import no_such_module"}
        left_out = self.check({**folder, "Fine/function.json": "{}", "Fine/__init__.py": "import json", "Other/function.json": "{}"})
        step, other = left_out
        self.assertIn('`Step` cannot be loaded, so it is left out: File "Step/__init__.py", line 1, imports `numpy`', step)
        self.assertIn("`Other` cannot be loaded, so it is left out: File \"Other/__init__.py\", line 1: No module named", other)
        self.assertEqual([path.parent.name for path in self.app.glob("*/function.json")], ["Fine"])

    def test_machine_code_behind_a_requirement(self):
        self.write(
            self.packages,
            {
                "nice/__init__.py": "from .deep import fast",
                "nice/deep.py": "import struct\nfrom quick import speed",
                "quick/__init__.py": "from . import _native",
                "quick/_native.so": "",
                "quick-1.0.dist-info/RECORD": "quick/_native.so,,\n",
                "nice-2.dist-info/METADATA": "Name: nice\nRequires-Dist: quick>=1; python_version > '3'\n\n",
            },
        )
        said = self.refused({"function_app.py": "import os\n\nimport nice"}, "nice")
        self.assertEqual(
            said,
            'File "function_app.py", line 3, imports `nice`, which needs `quick` (`nice` requires it, requirements.txt, line 1): that is '
            "machine code, which cannot run in a component; use a package without machine code, or a service that an activity calls over "
            "HTTP",
        )

    def test_machine_code_that_is_not_needed(self):
        self.write(
            self.packages,
            {
                "one/__init__.py": "try:\n    from . import _fast\nexcept ImportError:\n    _fast = None",
                "one/_fast.so": "",
                "two/__init__.py": "from ._both import x",
                "two/_both.so": "",
                "two/_both.py": "x = 1",
                "three/__init__.py": "def f():\n    from . import _fast\n",
                "three/_fast.so": "",
                "four/__init__.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import _fast\n",
                "four/_fast.so": "",
                "five/__init__.py": "from cryptography.hazmat.primitives import hashes",
                "cryptography/__init__.py": "from . import _rust",
                "cryptography/_rust.so": "",
            },
        )
        self.check({"function_app.py": "import one, two, three, four, five\nimport cryptography\n"})

    def test_a_try_that_raises_again_needs_it(self):
        self.write(
            self.packages,
            {
                "one/__init__.py": "try:\n    from . import _fast\nexcept ImportError as error:\n    raise ImportError('no') from error",
                "one/_fast.so": "",
            },
        )
        self.assertIn("imports `one`", self.refused({"function_app.py": "import one"}))

    def test_what_is_nowhere(self):
        said = self.refused({"function_app.py": "import json\nimport azure.durable_functions as df\nimport nowhere.at_all\n"})
        self.assertIn("File \"function_app.py\", line 3: No module named 'nowhere", said)
        self.assertIn("needs machine code", self.refused({"function_app.py": "import ctypes"}))
        self.check({"function_app.py": "import own.module, xml.etree.ElementTree", "own/module.py": ""})

    def test_pydantic_2_is_refused_where_it_is_used(self):
        text = "from pydantic import BaseModel\nclass A(BaseModel):\n    x: int\ndef f(a):\n    return a.model_dump()\n"
        said = self.refused({"function_app.py": text}, "pydantic")
        self.assertIn('File "function_app.py", line 5, uses `model_dump` of pydantic 2 (requirements.txt, line 1)', said)
        self.assertIn("use pydantic 1", said)

    def test_why_a_loaded_app_lacks_a_module(self):
        self.write(self.packages, {"quick/_native.so": "", "quick-1.dist-info/RECORD": "quick/_native.so,,\n"})
        machine_code.drop(self.packages)
        error = 'the app cannot be loaded\nTraceback\n  File "function_app.py", line 7, in <module>\n  File "/2/quick/a.py", line 1'
        stated = [Requirement("quick", "requirements.txt, line 1")]
        said = machine_code.explain(error, "quick._native", self.packages, stated)
        self.assertIn('File "function_app.py", line 7, imports what needs `quick` (requirements.txt, line 1): that is machine code', said)
        self.assertIsNone(machine_code.explain(error, "other", self.packages, stated))


class Modules(unittest.TestCase):
    def test_the_modules_that_an_app_imports(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "a.py").write_text("import one.two\ndef f():\n    from three.four import five\nfrom . import six\n")
            self.assertEqual(machine_code.imported_by(Path(folder)), {"one", "three"})


if __name__ == "__main__":
    unittest.main()
