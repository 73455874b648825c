"""Does the imports within functions when an app is built.

A finished component can import from the files that it has in memory, but each instance would do that again. So modules that a
function imports in its body are loaded before. The builder searches for these imports (`record`), outside of the component, because
all memory that is ever used in the component stays in its snapshot. The component then imports what its loaded modules need (`load`).
"""

from __future__ import annotations

import ast
import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_OF_STANDARD_LIBRARY = (
    "_strptime",  # datetime.strptime
    "calendar",
    "decimal",
    "email.message",
    "encodings.ascii",
    "encodings.cp1252",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.punycode",
    "encodings.unicode_escape",
    "encodings.utf_16",
    "encodings.utf_8_sig",
    "locale",
    "stringprep",
    "unicodedata",
)
"""Modules that the standard library imports on demand."""

_MODULES_MAX = 100
"""How many modules are loaded for functions of packages. Large packages import all that they have in functions, and an app uses little
of it: what is beyond this is loaded by the instances that need it."""

_RECORD = "dacapo-late-imports.json"


@dataclass(frozen=True)
class LateImport:
    """An import within a function."""

    line: int
    level: int
    """The number of packages to go up, for a relative import."""
    module: str
    members: list[str]


def record(folder: Path) -> None:
    """Finds the late imports in the source files of a folder, and records them in a file there."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        if late := [vars(late) for late in _late_imports(path)]:
            found[path.relative_to(folder).as_posix()] = late
    (folder / _RECORD).write_text(json.dumps(found))


def _late_imports(path: Path) -> Iterator[LateImport]:
    try:
        tree = ast.parse(path.read_bytes(), path.name)
    except (SyntaxError, ValueError):
        return  # if the app imports this file, the import reports the error
    functions = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    for node in (inner for function in functions for inner in ast.walk(function)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield LateImport(node.lineno, 0, alias.name, [])
        elif isinstance(node, ast.ImportFrom):
            members = [alias.name for alias in node.names if alias.name != "*"]
            yield LateImport(node.lineno, node.level, node.module or "", members)


def load(app: str) -> list[str]:
    """Does the recorded late imports of the loaded modules, and of the modules that these load. Returns a warning for
    each failed import of the app itself."""
    for name in _OF_STANDARD_LIBRARY:
        importlib.import_module(name)
    by_file = dict(_recorded())
    modules_max = len(sys.modules) + _MODULES_MAX
    warnings: list[str] = []
    while by_file:
        loaded = {getattr(module, "__file__", None): module for module in list(sys.modules.values())}
        files = [file for file in by_file if file in loaded]
        if not files:
            break
        for file in files:
            is_of_app = file.startswith(f"{app}/")
            for late in by_file.pop(file):
                if not is_of_app and len(sys.modules) > modules_max:
                    continue
                problem = _import(_absolute(late, loaded[file].__package__ or ""), late.members)
                if problem and is_of_app:
                    warnings.append(f"{file[len(app) + 1 :]}, line {late.line}, imports `{late.module}`: {problem}")
    return warnings


def _recorded() -> Iterator[tuple[str, list[LateImport]]]:
    for folder in sys.path:
        record = Path(folder, _RECORD)
        if record.is_file():
            for path, found in json.loads(record.read_text()).items():
                yield f"{folder}/{path}", [LateImport(**late) for late in found]


def _absolute(late: LateImport, package: str) -> str:
    if late.level == 0:
        return late.module
    parts = package.split(".")
    return ".".join(part for part in [*parts[: len(parts) - late.level + 1], late.module] if part)


def _import(name: str, members: list[str]) -> str | None:
    try:
        module = importlib.import_module(name)
        for member in members:
            if not hasattr(module, member):
                importlib.import_module(f"{name}.{member}")
    except Exception as error:  # an optional import may fail in any way
        return f"{type(error).__name__}: {error}"
    return None
