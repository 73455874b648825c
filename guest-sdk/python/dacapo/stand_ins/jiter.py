"""`jiter`, which reads JSON that may end early, on Python's own decoder."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


def from_json(
    json_data: bytes,
    /,
    *,
    allow_inf_nan: bool = True,
    cache_mode: Any = "all",
    partial_mode: Any = False,
    catch_duplicate_keys: bool = False,
    float_mode: str = "float",
) -> Any:
    """The value of a JSON text. With `partial_mode` the text may be a beginning: what is whole of it counts, and with
    `trailing-strings` also the string at its end."""
    text = bytes(json_data).decode()
    options: dict[str, Any] = {"parse_float": Decimal} if float_mode == "decimal" else {}
    if float_mode == "lossless-float":
        options["parse_float"] = LosslessFloat
    try:
        return json.loads(text, **options)
    except ValueError:
        if partial_mode in (False, "off"):
            raise
        return json.loads(_completed(text, partial_mode == "trailing-strings"), **options)


def _completed(text: str, keeps_string: bool) -> str:
    """The longest value that a beginning of a JSON text has, as a whole text."""
    for end in range(len(text), 0, -1):
        for closed in _closings(text[:end], keeps_string):
            try:
                json.loads(closed)
            except ValueError:
                continue
            return closed
    raise ValueError("EOF while parsing a value at line 1 column 0")


def _closings(begun: str, keeps_string: bool) -> list[str]:
    brackets, in_string, escaped = [], False, False
    for character in begun:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            brackets.append("]" if character == "[" else "}")
        elif character in "]}" and brackets:
            brackets.pop()
    end = "".join(reversed(brackets))
    if in_string:
        return [f'{begun}"{end}'] if keeps_string and not escaped else []
    return [begun + end, begun.rstrip().removesuffix(",") + end]


class LosslessFloat(Decimal):
    """A number with the digits that it was written with."""

    def as_decimal(self) -> Decimal:
        return Decimal(self)


def cache_clear() -> None: ...


def cache_usage() -> int:
    return 0
