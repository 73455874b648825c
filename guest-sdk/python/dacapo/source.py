"""The user's source code, for tracebacks that name it.

A component has no file system, so the lines that a traceback shows are read when the component is built.
"""

from __future__ import annotations

import inspect
import linecache
import os
import sys
import traceback
from collections.abc import Callable

_SDK = os.path.dirname(os.path.abspath(__file__))
_root = ""


def relate_to(root: str) -> None:
    """Makes names of files relative to the folder of the app."""
    global _root
    _root = os.path.join(root, "")


def remember() -> None:
    """Keeps the source lines of the app's modules that are loaded by now."""
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path and path.startswith(_root):
            lines = linecache.getlines(path)
            # Without a modification time the cache does not look for the file again.
            linecache.cache[path] = (sum(map(len, lines)), None, lines, path)


def user_traceback(error: BaseException) -> str:
    """The traceback without this package's own frames. A cycle of causes ends where it began."""
    trace = traceback.TracebackException.from_exception(error)
    for part in _chain(trace):
        if isinstance(getattr(part, "filename", None), str):  # of a SyntaxError
            part.filename = _relative(part.filename)
        part.stack[:] = [_named(frame) for frame in part.stack if not _is_machinery(frame)]
    return "".join(trace.format()).rstrip()


def place_of(function: Callable) -> str:
    """The position of a function's definition."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f'File "{_relative(code.co_filename)}", line {code.co_firstlineno}' if code else repr(function)


def folder_of(function: Callable) -> str:
    """The folder of the file that defines a function."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return os.path.dirname(code.co_filename) if code else _root.rstrip(os.sep)


def where(frames: list) -> str:
    """The positions where frames are suspended, in the format of a traceback."""
    summary = traceback.StackSummary.extract((frame, frame.f_lineno) for frame in frames)
    own = [_named(frame) for frame in summary if not _is_machinery(frame)]
    return "".join(traceback.StackSummary.from_list(own).format()).rstrip()


def _chain(trace: traceback.TracebackException | None):
    while trace is not None:
        yield trace
        for part in trace.exceptions or ():
            yield from _chain(part)
        if trace.__cause__ is not None:
            yield from _chain(trace.__context__)
            trace = trace.__cause__
        else:
            trace = trace.__context__


def _is_machinery(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith((_SDK, "<frozen ")) or frame.filename.endswith("/importlib/__init__.py")


def _named(frame: traceback.FrameSummary) -> traceback.FrameSummary:
    frame.filename = _relative(frame.filename)
    return frame


def _relative(path: str) -> str:
    return path.removeprefix(_root)
