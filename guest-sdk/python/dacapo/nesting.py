"""Limits the nesting depth of payloads.

Python's JSON recurses in machine code. In a component only the host's stack limits it, and overflow ends the function.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable
from itertools import accumulate, compress
from typing import Any

LEVELS_MAX = 1000
"""The recursion limit of Python's own functions, and less than half of what fits into the host's stack."""



class _Kinds(dict[type, bool]):
    """The types that the encoder descends into, including subclasses such as `OrderedDict`."""

    def __missing__(self, kind: type) -> bool:
        self[kind] = issubclass(kind, list | tuple | dict)
        return self[kind]


_IS_CONTAINER = _Kinds().__getitem__
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}


def check_text(text: str) -> None:
    """Raises a `RecursionError` for a JSON text that is nested too deeply."""
    # The fast path: most texts have fewer brackets than the allowed number of levels.
    if text.count("[") + text.count("{") <= LEVELS_MAX:
        return
    brackets = _BRACKET.findall(_STRING.sub("", text))
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > LEVELS_MAX:
        raise RecursionError(f"it is nested deeper than {LEVELS_MAX} levels")


def check_value(value: Any) -> None:
    """Raises a `RecursionError` for a value that is nested too deeply. Checks level by level, with built-in loops."""
    if not _IS_CONTAINER(type(value)) or not any(map(_IS_CONTAINER, map(type, _held_by(value)))):
        return
    level, seen = [value], set()
    for _ in range(LEVELS_MAX):
        known = len(seen)
        seen.update(map(id, level))
        if len(seen) == known:
            return  # all objects have been checked; the encoder detects cycles
        held = gc.get_referents(*level)
        level = list(compress(held, map(_IS_CONTAINER, map(type, held))))
        if not level:
            return
    raise RecursionError(f"it is nested deeper than {LEVELS_MAX} levels")


def _held_by(container: Any) -> Iterable[Any]:
    return dict.values(container) if isinstance(container, dict) else container
