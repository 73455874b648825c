"""The files that a guest has without a file system: those of its packages and of the app, and its own below `/tmp`.

A component is loaded when it is built, and its instances have none of the folders that it was loaded from. So the builder
packs them (`dacapo.packing`), and the archives become part of the initial memory, which all instances share. Files below `/tmp`
are in the memory of their instance. `install` puts this in front of the functions of Python that name files: any other path is
one of a directory that the operator has granted.
"""

from __future__ import annotations

import builtins
import errno
import importlib.machinery
import io
import json
import os
import posixpath
import stat
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

TEMPORARY = "/tmp"

_FIRST_DESCRIPTOR = 1 << 20
"""No descriptor of WASI is as large."""

_AGE = 315_532_800.0
"""The time of files that are kept: 1980, the first that a zip file can hold."""

# In WASI these are bits, elsewhere numbers.
_ACCESS = os.O_RDONLY | os.O_WRONLY | os.O_RDWR


def _reads(flags: int) -> bool:
    return flags & _ACCESS != os.O_WRONLY


def _writes(flags: int) -> bool:
    return flags & _ACCESS != os.O_RDONLY


@dataclass
class File:
    """A file in the memory of an instance."""

    content: bytes | bytearray
    changed: float = _AGE
    is_kept: bool = False
    """Whether it is of an archive, and so cannot be written to."""

    def stat(self) -> os.stat_result:
        return _stat(stat.S_IFREG | (0o444 if self.is_kept else 0o600), len(self.content), self.changed)


@dataclass
class Folder:
    """A folder below `/tmp`."""

    entries: dict[str, File | Folder] = field(default_factory=dict)
    changed: float = _AGE

    def stat(self) -> os.stat_result:
        return _stat(stat.S_IFDIR | 0o700, 0, self.changed)

    def names(self) -> list[str]:
        return list(self.entries)


@dataclass(frozen=True)
class Kept:
    """A file or a folder of an archive."""

    archive: Archive
    path: str
    place: list[int] | None
    """Of a file: the offset, the stored size and the size of its content."""

    def stat(self) -> os.stat_result:
        if self.place is None:
            return _stat(stat.S_IFDIR | 0o555, 0, _AGE)
        return _stat(stat.S_IFREG | 0o444, self.place[2], _AGE)

    def names(self) -> list[str]:
        return list(self.archive.entries(self.path))

    def content(self) -> bytes:
        return self.archive.content(*self.place)


def _stat(mode: int, size: int, changed: float) -> os.stat_result:
    return os.stat_result((mode, 0, 0, 1, 0, 0, size, changed, changed, changed))


class Archive:
    """The files of a folder, as the builder has packed them."""

    def __init__(self, packed: BinaryIO):
        size = packed.seek(0, 2)
        packed.seek(0)
        length = int.from_bytes(_read(packed, 8), "little")
        folders = json.loads(_read(packed, length))
        self._contents = memoryview(_read(packed, size - 8 - length))
        # As texts, of which an instance reads the few that it needs: objects for all names would take much more.
        self._folders = {path: json.dumps(entries, separators=(",", ":")) for path, entries in folders.items()}
        self._read: dict[str, dict[str, list[int] | None]] = {}

    def entries(self, folder: str) -> dict[str, list[int] | None]:
        """The names in a folder."""
        if folder not in self._read:
            self._read[folder] = json.loads(self._folders[folder])
        return self._read[folder]

    def find(self, path: str) -> Kept | None:
        if path in self._folders:
            return Kept(self, path, None)
        parent, _, name = path.rpartition("/")
        if parent not in self._folders:
            return None
        place = self.entries(parent).get(name)
        return None if place is None else Kept(self, path, place)

    def content(self, offset: int, stored: int, size: int) -> bytes:
        data = self._contents[offset : offset + stored]
        return bytes(data) if stored == size else zlib.decompress(data)


def _read(file: BinaryIO, size: int) -> bytearray:
    """Reads exactly so much. Nothing but the result is left in memory, which would be in the component."""
    data = bytearray(size)
    at = 0
    while at < size:
        at += file.readinto(memoryview(data)[at:])
    return data


@dataclass
class _Open:
    """An open file."""

    file: File
    flags: int
    position: int = 0


class Files:
    """All files in memory."""

    def __init__(self) -> None:
        self.roots: dict[str, tuple[Archive, str]] = {}
        """The folders that have files of archives: for each, the folder of the archive that it shows."""
        self.working_folder = "/"
        """The folder of files that are named by a relative path, as the app's folder is in the original."""
        self.are_settled = False
        """Whether the folders that the archives were made of are gone. Until then those are read."""
        self._temporary = Folder()
        self._has_real_temporary: bool | None = None
        self._open: dict[int, _Open] = {}
        self._next_descriptor = _FIRST_DESCRIPTOR

    def find(self, path: Any) -> File | Folder | Kept | None:
        """What a path names, or nothing if it is not in memory."""
        absolute = self._absolute(path)
        if absolute is None:
            return None
        if self._is_temporary(absolute):
            return self._walk(absolute)
        for root, (archive, folder) in self.roots.items():
            if absolute == root or absolute.startswith(f"{root}/"):
                return archive.find(posixpath.join(folder, absolute[len(root) + 1 :]).rstrip("/"))
        return None

    def owns(self, path: Any) -> bool:
        """Whether it is this that has the path, or would have it if it existed."""
        absolute = self._absolute(path)
        return absolute is not None and (self._is_temporary(absolute) or self.find(path) is not None)

    def existing(self, path: Any) -> File | Folder | Kept:
        return self.find(path) or _raise(errno.ENOENT, path)

    def _absolute(self, path: Any) -> str | None:
        if isinstance(path, int):
            return None
        path = os.fspath(path)
        text = os.fsdecode(path)
        return posixpath.normpath(posixpath.join(self.working_folder, text)) if text else None

    def _is_temporary(self, absolute: str) -> bool:
        if absolute != TEMPORARY and not absolute.startswith(f"{TEMPORARY}/"):
            return False
        if self._has_real_temporary is None and self.are_settled:
            self._has_real_temporary = _exists(TEMPORARY)
        return not self._has_real_temporary

    def _walk(self, absolute: str) -> File | Folder | None:
        node: File | Folder | None = self._temporary
        for name in absolute[len(TEMPORARY) + 1 :].split("/"):
            if name:
                node = node.entries.get(name) if isinstance(node, Folder) else None
        return node

    def _parent(self, path: Any) -> tuple[Folder, str]:
        """The folder below `/tmp` in which a path is, and its name there."""
        absolute = self._absolute(path)
        if not self._is_temporary(absolute):
            _raise(errno.EROFS, path)
        parent, name = posixpath.split(absolute)
        folder = self._walk(parent) if absolute != TEMPORARY else _raise(errno.EBUSY, path)
        if folder is None:
            _raise(errno.ENOENT, path)
        if not isinstance(folder, Folder):
            _raise(errno.ENOTDIR, path)
        return folder, name

    # What the functions of `os` do.

    def open(self, path: Any, flags: int) -> int:
        """Opens a file, and returns its descriptor."""
        found = self.find(path)
        if found is not None and flags & os.O_CREAT and flags & os.O_EXCL:
            _raise(errno.EEXIST, path)
        if found is None:
            found = self._make(path) if flags & os.O_CREAT else _raise(errno.ENOENT, path)
        if isinstance(found, Folder) or (isinstance(found, Kept) and found.place is None):
            _raise(errno.EISDIR, path)
        if isinstance(found, Kept):
            if _writes(flags) or flags & os.O_TRUNC:
                _raise(errno.EROFS, path)
            found = File(found.content(), is_kept=True)
        if flags & os.O_TRUNC:
            del found.content[:]
        descriptor = self._next_descriptor
        self._next_descriptor += 1
        self._open[descriptor] = _Open(found, flags)
        return descriptor

    def _make(self, path: Any) -> File:
        folder, name = self._parent(path)
        made = folder.entries[name] = File(bytearray(), time.time())
        folder.changed = made.changed
        return made

    def of(self, descriptor: Any) -> _Open | None:
        """The open file of a descriptor, if it is one of these."""
        return self._open.get(descriptor) if isinstance(descriptor, int) else None

    def close(self, descriptor: int) -> None:
        del self._open[descriptor]

    def read(self, descriptor: int, size: int) -> bytes:
        opened = self._open[descriptor]
        if not _reads(opened.flags):
            _raise(errno.EBADF)
        data = bytes(memoryview(opened.file.content)[opened.position : opened.position + size])
        opened.position += len(data)
        return data

    def write(self, descriptor: int, data: Any) -> int:
        opened = self._open[descriptor]
        if not _writes(opened.flags):
            _raise(errno.EBADF)
        content, data = opened.file.content, memoryview(data).cast("B")
        start = len(content) if opened.flags & os.O_APPEND else opened.position
        content.extend(bytes(max(0, start - len(content))))
        content[start : start + len(data)] = data
        opened.position = start + len(data)
        opened.file.changed = time.time()
        return len(data)

    def seek(self, descriptor: int, offset: int, whence: int) -> int:
        opened = self._open[descriptor]
        base = (0, opened.position, len(opened.file.content))[whence]
        if base + offset < 0:
            _raise(errno.EINVAL)
        opened.position = base + offset
        return opened.position

    def truncate(self, descriptor: int, size: int) -> None:
        opened = self._open[descriptor]
        if not _writes(opened.flags):
            _raise(errno.EBADF)
        content = opened.file.content
        del content[size:]
        content.extend(bytes(size - len(content)))
        opened.file.changed = time.time()

    def make_folder(self, path: Any) -> None:
        if self.find(path) is not None:
            _raise(errno.EEXIST, path)
        folder, name = self._parent(path)
        folder.entries[name] = Folder(changed=time.time())

    def remove(self, path: Any, *, folder: bool) -> None:
        found = self.existing(path)
        parent, name = self._parent(path)
        if isinstance(found, Folder) is not folder:
            _raise(errno.ENOTDIR if folder else errno.EISDIR, path)
        if folder and found.entries:
            _raise(errno.ENOTEMPTY, path)
        del parent.entries[name]

    def rename(self, source: Any, target: Any) -> None:
        moved = self.existing(source)
        from_, old = self._parent(source)
        to, new = self._parent(target)
        there = to.entries.get(new)
        if there is not None and there is not moved:
            if isinstance(moved, Folder) is not isinstance(there, Folder):
                _raise(errno.ENOTDIR if isinstance(moved, Folder) else errno.EISDIR, target)
            if isinstance(there, Folder) and there.entries:
                _raise(errno.ENOTEMPTY, target)
        del from_.entries[old]
        to.entries[new] = moved

    def names(self, path: Any) -> list[str]:
        found = self.existing(path)
        if isinstance(found, Folder) or (isinstance(found, Kept) and found.place is None):
            return found.names()
        _raise(errno.ENOTDIR, path)


def _raise(number: int, path: Any = None) -> Any:
    raise OSError(number, os.strerror(number), *(() if path is None else (path,)))


files = Files()
"""Those of this process."""


class _RawFile(io.RawIOBase):
    """An open file as `io` has it."""

    def __init__(self, descriptor: int, name: Any, mode: str, closes: bool):
        self._descriptor, self._closes = descriptor, closes
        self.name, self.mode = name, mode

    def fileno(self) -> int:
        self._check()
        return self._descriptor

    def readable(self) -> bool:
        return "r" in self.mode or "+" in self.mode

    def writable(self) -> bool:
        return self.mode[0] in "wax" or "+" in self.mode

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._check()
        if not self.readable():
            raise io.UnsupportedOperation("not readable")
        view = memoryview(buffer).cast("B")
        data = files.read(self._descriptor, len(view))
        view[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        self._check()
        if not self.writable():
            raise io.UnsupportedOperation("not writable")
        return files.write(self._descriptor, data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._check()
        return files.seek(self._descriptor, offset, whence)

    def tell(self) -> int:
        return self.seek(0, 1)

    def truncate(self, size: int | None = None) -> int:
        size = self.tell() if size is None else size
        files.truncate(self._descriptor, size)
        return size

    def close(self) -> None:
        if not self.closed:
            super().close()
            if self._closes and files.of(self._descriptor):
                files.close(self._descriptor)

    def _check(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")


_FLAGS = {
    "r": os.O_RDONLY,
    "w": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "x": os.O_WRONLY | os.O_CREAT | os.O_EXCL,
}

_NAMES = (
    *("access", "close", "fstat", "fsync", "ftruncate", "isatty", "listdir", "lseek", "lstat", "mkdir", "open", "read"),
    *("readlink", "remove", "rename", "replace", "rmdir", "scandir", "stat", "unlink", "utime", "write"),
)
_real: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in _NAMES}
"""The functions of `os` that are replaced."""

_real_open = io.open


def _open(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Callable[[Any, int], int] | None = None,
) -> Any:
    """`open` of Python."""

    def real(file: Any, opener: Any = None) -> Any:
        return _real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)

    plain = mode.replace("b", "").replace("t", "")
    if plain.rstrip("+") not in _FLAGS or len(mode) != len(set(mode)):
        return real(file, opener)
    flags = _FLAGS[plain[0]]
    if "+" in plain:
        flags = flags & ~os.O_WRONLY | os.O_RDWR
    if opener is not None:
        descriptor = opener(file, flags)
        if files.of(descriptor) is None:
            return real(file, lambda *_: descriptor)
    elif isinstance(file, int):
        descriptor = file
        if files.of(descriptor) is None:
            return real(file)
    elif _is_here(file):
        descriptor = files.open(file, flags)
    else:
        return real(file)
    raw = _RawFile(descriptor, file, plain + "b", closefd)
    if plain[0] == "a":
        raw.seek(0, 2)
    return _buffered(raw, mode, buffering, encoding, errors, newline)


def _buffered(raw: _RawFile, mode: str, buffering: int, encoding: Any, errors: Any, newline: Any) -> Any:
    if buffering == 0:
        if "b" in mode:
            return raw
        raise ValueError("can't have unbuffered text I/O")
    if "+" in mode:
        kind = io.BufferedRandom
    else:
        kind = io.BufferedReader if raw.readable() else io.BufferedWriter
    buffer = kind(raw, io.DEFAULT_BUFFER_SIZE if buffering < 2 else buffering)
    if "b" in mode:
        return buffer
    text = io.TextIOWrapper(buffer, encoding, errors, newline, line_buffering=buffering == 1)
    text.mode = mode
    return text


class _Entry:
    """An entry of `os.scandir`."""

    def __init__(self, folder: Any, name: str):
        self.name = name
        self.path = posixpath.join(os.fspath(folder), name)

    def __fspath__(self) -> str:
        return self.path

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return files.existing(self.path).stat()

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return stat.S_ISDIR(self.stat().st_mode)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return not self.is_dir()

    def is_symlink(self) -> bool:
        return False

    is_junction = is_symlink

    def inode(self) -> int:
        return 0


class _Scan:
    """The result of `os.scandir`."""

    def __init__(self, entries: Iterator[_Entry]):
        self._entries = entries

    def __iter__(self) -> Iterator[_Entry]:
        return self._entries

    def __next__(self) -> _Entry:
        return next(self._entries)

    def __enter__(self) -> _Scan:
        return self

    def __exit__(self, *_: object) -> None: ...

    def close(self) -> None: ...


def _exists(path: str) -> bool:
    try:
        _real["stat"](path)
    except OSError:
        return False
    return True


def _is_here(path: Any) -> bool:
    """Whether a path is one of the files in memory. While a component is built, the folders of archives are there."""
    if isinstance(path, int) or not files.owns(path):
        return False
    return files.are_settled or not _exists(path)


def _by_path(name: str, here: Callable[..., Any]) -> Callable[..., Any]:
    """A function of `os` that takes a path, or also the descriptor of an open file."""
    real = _real[name]

    def call(path: Any, *arguments: Any, **options: Any) -> Any:
        if options.get("dir_fd") is None and _is_here(path):
            return here(path, *arguments)
        return real(path, *arguments, **options)

    return call


def _by_descriptor(name: str, here: Callable[..., Any]) -> Callable[..., Any]:
    real = _real[name]

    def call(descriptor: Any, *arguments: Any) -> Any:
        return here(descriptor, *arguments) if files.of(descriptor) else real(descriptor, *arguments)

    return call


def _stat_of(path: Any) -> os.stat_result:
    opened = files.of(path)
    return opened.file.stat() if opened else files.existing(path).stat()


def _access(path: Any, mode: int) -> bool:
    found = files.find(path)
    return found is not None and not (mode & os.W_OK and not found.stat().st_mode & 0o200)


def _list(path: Any = ".") -> list[Any]:
    names = files.names(path)
    return [os.fsencode(name) for name in names] if isinstance(path, bytes) else names


def _rename(source: Any, target: Any, **options: Any) -> None:
    if files.owns(source) or files.owns(target):
        files.rename(source, target)
    else:
        _real["rename"](source, target, **options)


def _with_stat(name: str) -> Callable[..., os.stat_result]:
    by_path = _by_path(name, _stat_of)
    return lambda path, **options: _stat_of(path) if files.of(path) else by_path(path, **options)


def _replacements() -> dict[str, Callable[..., Any]]:
    def nothing(*_: Any) -> None: ...

    def remove(path: Any) -> None:
        files.remove(path, folder=False)

    def default(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda path=".": function(path)

    return {
        "stat": _with_stat("stat"),
        "lstat": _with_stat("lstat"),
        "access": _by_path("access", _access),
        "open": _by_path("open", lambda path, flags, *_: files.open(path, flags)),
        "listdir": default(_by_path("listdir", _list)),
        "scandir": default(_by_path("scandir", lambda path: _Scan(_Entry(path, name) for name in files.names(path)))),
        "mkdir": _by_path("mkdir", lambda path, *_: files.make_folder(path)),
        "rmdir": _by_path("rmdir", lambda path: files.remove(path, folder=True)),
        "unlink": _by_path("unlink", remove),
        "remove": _by_path("remove", remove),
        "rename": _rename,
        "replace": _rename,
        "utime": _by_path("utime", nothing),
        "readlink": _by_path("readlink", lambda path: _raise(errno.EINVAL, path)),
        "fstat": _by_descriptor("fstat", _stat_of),
        "read": _by_descriptor("read", files.read),
        "write": _by_descriptor("write", files.write),
        "lseek": _by_descriptor("lseek", files.seek),
        "ftruncate": _by_descriptor("ftruncate", files.truncate),
        "fsync": _by_descriptor("fsync", nothing),
        "close": _by_descriptor("close", files.close),
        "isatty": _by_descriptor("isatty", lambda _: False),
    }


def install(folder: str) -> None:
    """Makes Python's functions for files find those in memory, and relative paths name files of this folder. Call it before
    the app is loaded."""
    files.working_folder = folder
    for name, replacement in _replacements().items():
        setattr(os, name, replacement)
    # Files in memory have no modes that could be changed.
    os.chmod = lambda *_, **__: None
    builtins.open = io.open = sys.modules["_io"].open = _open
    # What these took from elsewhere when they were imported.
    if "tokenize" in sys.modules:
        sys.modules["tokenize"]._builtin_open = _open
    if "shutil" in sys.modules:
        sys.modules["shutil"]._use_fd_functions = False
    sys.modules.pop("tempfile", None)  # its methods have functions of `os` as defaults


def keep(root: str, path: str) -> None:
    """Keeps an archive, with the files that are in the folder `root` until the component is built."""
    with _real_open(path, "rb", buffering=0) as file:
        files.roots[root] = Archive(file), ""


def show(root: str, kept: str, folder: str) -> None:
    """Shows a folder of the archive of `kept` under another path too."""
    files.roots[root] = files.roots[kept][0], folder


def settle() -> None:
    """Makes everything find the files of archives in memory, also the machinery of `import`. Call it last."""
    posix = sys.modules["posix"]
    for name in _NAMES:
        setattr(posix, name, getattr(os, name))
    importlib.machinery.SourceFileLoader.get_data = _data
    sys.dont_write_bytecode = True
    files.are_settled = True


def _data(_: Any, path: str) -> bytes:
    with _open(path, "rb") as file:
        return file.read()
