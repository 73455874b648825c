"""Packs the files of a folder, for `dacapo.files`.

    length of the index, 8 bytes | index, JSON | contents

The index has the names in each folder, by its path: a file with the offset, the stored size and the size of its content, which
is deflated if these sizes differ; `null` is a folder.
"""

from __future__ import annotations

import json
import sys
import tempfile
import zlib
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

ARCHIVE = "dacapo-files"
"""The name of an archive, in the folder that it was made of."""

STANDARD_LIBRARY = "python"
"""The name of the folder with the standard library, beside what else is the same for all apps."""

_SUFFIXES_LEFT_OUT = {".a", ".c", ".cpp", ".dylib", ".h", ".hpp", ".pxd", ".pyc", ".pyd", ".pyi", ".pyx", ".so"}
"""What a component cannot run, and what only compilers and editors read."""

_OF_STANDARD_LIBRARY_LEFT_OUT = {
    "_pyrepl",
    "config-3.14-wasm32-wasi",
    "ctypes",
    "curses",
    "ensurepip",
    "idlelib",
    "pydoc_data",
    "site-packages",
    "tkinter",
    "turtle.py",
    "turtledemo",
    "venv",
}
"""What needs a screen, a terminal, machine code or an installation."""


def pack(folder: Path) -> None:
    """Writes the archive of a folder into it."""
    contents = ((path.relative_to(folder).as_posix(), path.read_bytes()) for path in _files_in(folder))
    (folder / ARCHIVE).write_bytes(packed(contents))


def copy_standard_library(library: Path) -> None:
    """Copies the modules of the interpreter, which come anew with each run of the compiler, to where their byte code is kept."""
    with tempfile.TemporaryDirectory(prefix="dacapo-unfinished-", dir=library) as temporary:
        copy = Path(temporary, STANDARD_LIBRARY)
        left_out = {*_OF_STANDARD_LIBRARY_LEFT_OUT, "__pycache__"}
        for path in _files_in(Path(sys.prefix), left_out):
            target = copy / path.relative_to(sys.prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        pack(copy)
        try:
            copy.rename(library / STANDARD_LIBRARY)
        except OSError:
            if not (library / STANDARD_LIBRARY).is_dir():  # else another build was faster
                raise


def packed(contents: Iterable[tuple[str, bytes]]) -> bytes:
    """An archive of files by their paths."""
    index: dict[str, dict[str, list[int] | None]] = {"": {}}
    data = bytearray()
    for path, content in contents:
        stored = min(zlib.compress(content), content, key=len)
        parent, _, name = path.rpartition("/")
        _folder(index, parent)[name] = [len(data), len(stored), len(content)]
        data += stored
    described = json.dumps(index, separators=(",", ":")).encode()
    return len(described).to_bytes(8, "little") + described + data


def _folder(index: dict[str, dict], path: str) -> dict:
    if path not in index:
        parent, _, name = path.rpartition("/")
        _folder(index, parent)[name] = None
        index[path] = {}
    return index[path]


def _files_in(folder: Path, left_out: Container[str] = ()) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in left_out or path.name == "__pycache__" or path.name.startswith("dacapo-"):
            continue
        if path.is_dir():
            yield from _files_in(path)
        elif path.suffix not in _SUFFIXES_LEFT_OUT:
            yield path
