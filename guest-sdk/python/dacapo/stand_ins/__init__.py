"""Stand-ins for packages of machine code that other packages only import, and do not need for what apps do with them.

The storage clients of Azure import `cryptography` for encryption on the client's side; so does its identity package, for
certificates. With a stand-in they load. What is used of it says in one sentence that it is not there. Code that can do without such
a package, and so imports it in a `try`, is told that there is none.
"""

from __future__ import annotations

import dis
import importlib.abc
import importlib.machinery
import sys
from types import FrameType, ModuleType
from typing import Any

_EMPTY = {
    "cryptography": "encryption, certificates and signatures are machine code of `cryptography`, which cannot run in a component; "
    "`hashlib`, `hmac` and TLS are there, and a key vault can decrypt and sign over HTTP",
    "_cffi_backend": "`cffi` is machine code, which cannot run in a component",
}
"""Packages that have nothing but names, and why."""

_WRITTEN = {name: f"dacapo.stand_ins.{name}" for name in ("jiter", "truststore")}
"""Packages that are written in Python here."""

STAND_INS = {*_EMPTY, *_WRITTEN}


class Unavailable(NotImplementedError):
    """The error of what is used of a stand-in."""


def install() -> None:
    """Makes imports find the stand-ins, and not what is left of the packages without their machine code."""
    sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        top = name.partition(".")[0]
        if top not in STAND_INS:
            return None
        if top in _EMPTY and _is_optional(_importer()):
            raise ModuleNotFoundError(f"No module named {name!r}: {_EMPTY[top]}", name=name)
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        if spec.name in _WRITTEN:
            return importlib.import_module(_WRITTEN[spec.name])
        return _Empty(spec.name)

    def exec_module(self, module: ModuleType) -> None: ...


def _importer() -> FrameType | None:
    """The frame with the import that is being done."""
    frame = sys._getframe(1)
    while frame is not None and (
        "importlib" in frame.f_code.co_filename or frame.f_globals.get("__name__") == __name__
    ):
        frame = frame.f_back
    return frame


def _is_optional(frame: FrameType | None) -> bool:
    """Whether what a frame does now is in a `try`."""
    if frame is None:
        return False
    entries = dis._parse_exception_table(frame.f_code)
    return any(entry.start <= frame.f_lasti < entry.end for entry in entries)


def _imports(frame: FrameType) -> bool:
    """Whether a frame is at the `import` of a name from a module that is loaded."""
    return dis.opname[frame.f_code.co_code[frame.f_lasti]] == "IMPORT_FROM"


class _Empty(ModuleType):
    """A module with every name that is imported from it."""

    def __getattr__(self, name: str) -> Any:
        frame = sys._getframe(1)
        if name.startswith("__") or (_imports(frame) and _is_optional(frame)):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        # Not an attribute, so that this is asked each time.
        return self.__dict__.setdefault("__absent__", {}).setdefault(name, _absent(self.__name__, name))


class _Absent(type):
    """The type of a name of a stand-in: it can be in an annotation, an `isinstance`, an `except` or a list of base classes."""

    def __call__(cls, *_: Any, **__: Any) -> Any:
        # A class of the app may be made of one.
        of = next(base for base in cls.__mro__ if base.__module__.partition(".")[0] in _EMPTY)
        path = f"{of.__module__}.{of.__name__}"
        raise Unavailable(f"`{path}` is not available: {_EMPTY[path.partition('.')[0]]}")

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _absent(f"{cls.__module__}.{cls.__name__}", name)


def _absent(of: str, name: str) -> _Absent:
    # An exception, since some of these names are in an `except`.
    return _Absent(name, (Exception,), {"__module__": of})
