"""Checks values that are passed to the host: they must have the type of the contract, and texts must be valid Unicode.

Otherwise the bindings would end the guest with an error that the app cannot catch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any


def well_formed(text: str) -> str:
    """Replaces lone surrogates, which JSON and file names may contain, with the replacement character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub(_repaired, text)
    return text


# Not with the codec for UTF-16, which a component does not have.
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]")


def _repaired(match: re.Match[str]) -> str:
    high, low = match[0][0], match[0][1:]
    return chr(0x10000 + ((ord(high) - 0xD800) << 10) + ord(low) - 0xDC00) if low else "\ufffd"


def text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str, not {_kind(value)}")
    return well_formed(value)


def optional_text(value: Any, what: str) -> str | None:
    return None if value is None else text(value, what)


def name(value: Any, what: str) -> str:
    """A text that is not empty. The contract has no other rule for the name of an event."""
    if text(value, what) == "":
        raise ValueError(f"{what} must be a non-empty string")
    return well_formed(value)


_FUNCTION_CHARS_MAX, _ID_CHARS_MAX, _LABEL_CHARS_MAX = 128, 256, 256

# Control characters, delimiters of URLs, and (for function names) white space.
_NOT_OF_IDS = re.compile(r"[\x00-\x1f\x7f-\x9f/\\#?]")
_NOTHING = re.compile(r"(?!)")
_NOT_OF_FUNCTIONS = re.compile(r"[\x00-\x1f\x7f-\x9f/\\#?@\s]")


def function_name(value: Any, what: str) -> str:
    """Checks the contract's rule for names of functions. The host would end an orchestrator with an invalid name."""
    return _checked(name(value, what), what, _FUNCTION_CHARS_MAX, _NOT_OF_FUNCTIONS)


def label(value: Any, what: str) -> str:
    """The name of an operation, or a version: a text that may be empty."""
    return _checked(text(value, what), what, _LABEL_CHARS_MAX, _NOTHING)


def optional_id(value: Any) -> str | None:
    """An empty text means, like `None`, that there is no id."""
    return None if value == "" else optional_text(value, "instance_id")


def optional_new_id(value: Any) -> str | None:
    """The id of an orchestration to be started. The host would end an orchestrator that uses an invalid id."""
    new = optional_id(value)
    if new is None:
        return None
    if new.startswith("@") or new.isspace():
        raise ValueError(f"instance_id must not begin with '@' or be white space only: {new!r:.40}")
    return id_(new, "instance_id")


def id_(value: Any, what: str) -> str:
    """The id of any instance."""
    checked = _checked(name(value, what), what, _ID_CHARS_MAX, _NOT_OF_IDS)
    if re.fullmatch(r"(@[^@]+@)?\.\.?", checked):
        raise ValueError(f"{what} must not be '.' or '..', which no address can name: {checked!r}")
    return checked


def _checked(value: str, what: str, characters_max: int, forbidden: re.Pattern[str]) -> str:
    if len(value) > characters_max:
        raise ValueError(f"{what} must have at most {characters_max} characters: {value!r:.40}")
    if found := forbidden.search(value):
        raise ValueError(f"{what} must not contain {found[0]!r}: {value!r:.40}")
    return value


def number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise TypeError(f"{what} must be a number, not {_kind(value)}")
    try:
        converted = float(value)
    except (OverflowError, ValueError) as error:  # too large, or a signaling NaN
        raise ValueError(f"{what} must be a number that a float can hold: {error}") from None
    if math.isnan(converted):
        raise ValueError(f"{what} must be a number, not nan")
    return converted


def length(value: Any, what: str) -> float:
    """A number that is not negative."""
    converted = number(value, what)
    if converted < 0:
        raise ValueError(f"{what} must not be negative, and is {converted:g}")
    return converted


def optional_length(value: Any, what: str) -> float | None:
    return None if value is None else length(value, what)


def texts(values: Any, what: str) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{what} must be a list of str, not {_kind(values)}")
    return tuple(text(value, f"each of {what}") for value in values)


def instance(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{what} must be a {kind.__name__}, not {_kind(value)}")
    return value


def several(values: Any, what: str) -> Iterable[Any]:
    if not isinstance(values, Iterable):
        raise TypeError(f"{what} takes a list of tasks, not {_kind(values)}")
    return values


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    try:
        return f"{type(value).__name__} ({value!r:.40})"
    except Exception:  # raised by its `__repr__`
        return type(value).__name__
