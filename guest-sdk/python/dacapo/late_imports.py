"""Imports now what an app would import later.

A component has no files to import from once it is built. What a function imports in its body must be loaded before.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from types import ModuleType
from typing import Iterator

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
"""What the standard library imports only when it needs it."""

_SDK = os.path.dirname(os.path.abspath(__file__))


def load(root: str) -> list[str]:
    """Imports them, for all loaded modules of the app and its dependencies. Gives a warning for each that the app
    imports and that is not there."""
    warnings: list[str] = []
    for name in _OF_STANDARD_LIBRARY:
        importlib.import_module(name)
    seen: set[str] = set()
    while unseen := [module for name, module in _modules() if name not in seen]:
        for module in unseen:
            seen.add(module.__name__)
            for line, name, members in _late_imports(module):
                problem = _import(name, members)
                if problem and module.__file__.startswith(os.path.join(root, "")):
                    path = os.path.relpath(module.__file__, root)
                    warnings.append(f"{path}, line {line}, imports `{name}`: {problem}")
    return warnings


def _modules() -> Iterator[tuple[str, ModuleType]]:
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        is_own = path and path.endswith(".py") and not path.startswith((_SDK, os.path.join(sys.prefix, "")))
        if is_own and module.__name__ == name:
            yield name, module


def _late_imports(module: ModuleType) -> Iterator[tuple[int, str, list[str]]]:
    with open(module.__file__, "rb") as file:
        tree = ast.parse(file.read())
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    for node in (inner for function in functions for inner in ast.walk(function)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, []
        elif isinstance(node, ast.ImportFrom):
            members = [alias.name for alias in node.names if alias.name != "*"]
            yield node.lineno, _absolute(node, module), members


def _absolute(node: ast.ImportFrom, module: ModuleType) -> str:
    if node.level == 0:
        return node.module or ""
    package = (module.__package__ or "").split(".")
    kept = package[: len(package) - node.level + 1]
    return ".".join([*kept, node.module] if node.module else kept)


def _import(name: str, members: list[str]) -> str | None:
    try:
        module = importlib.import_module(name)
        for member in members:
            if not hasattr(module, member):
                importlib.import_module(f"{name}.{member}")
    except Exception as error:  # an optional import may fail in any way
        return f"{type(error).__name__}: {error}"
    return None
