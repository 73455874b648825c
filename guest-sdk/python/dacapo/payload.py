"""Conversion of payloads: Python values to and from JSON texts.

An object whose class has `to_json` and `from_json` is wrapped in the envelope that `azure-functions-durable` uses:
`{"__class__", "__module__", "__data__"}`.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from dacapo import nesting
from dacapo.border import well_formed
from dacapo.failure import Failure

_ENVELOPE = ("__class__", "__module__", "__data__")


def encode(value: Any, what: str, error_type: str = "InvalidInput") -> str:
    """Converts a value to JSON. A value that JSON cannot represent, such as a cycle or NaN, is a failure."""
    try:
        nesting.check_value(value)
        text = _encoder.encode(value)
        if well_formed(text) is not text:
            text = _ascii_encoder.encode(value)  # a lone surrogate stays an escape
    except (TypeError, ValueError, RecursionError) as error:
        raise Failure(error_type, f"{what} cannot be written as JSON: {error}", retriable=False) from error
    return text


def decode(text: str, expected_type: type | None = None) -> Any:
    """Converts a JSON text to a value. A value that is not of the expected type is returned anyway, with a warning."""
    nesting.check_text(text)
    value = _decoder.decode(text)
    if isinstance(expected_type, type) and value is not None and not isinstance(value, expected_type):
        logging.getLogger("dacapo").warning(
            "expected a %s, and the payload is a %s", expected_type.__name__, type(value).__name__
        )
    return value


def parse(source: str | bytes) -> Any:
    """Parses JSON that is not a payload, such as the body of a request. Raises `ValueError`."""
    text = source.decode() if isinstance(source, bytes) else source
    try:
        nesting.check_text(text)
    except RecursionError as error:
        raise ValueError(f"the JSON cannot be read: {error}") from None
    return json.loads(text)


def decode_start_input(text: str, expected_type: type | None = None) -> Any:
    """Decodes the input from a client. The Python client of Durable Functions sends JSON within a JSON string."""
    value = decode(text)
    if isinstance(value, str) and _is_json(value):
        return decode(value, expected_type)
    return decode(text, expected_type)


def encode_start_input(value: Any, what: str) -> str:
    """The inverse of `decode_start_input`: a string that looks like JSON stays a string."""
    text = encode(value, what)
    return encode(text, what) if isinstance(value, str) and _is_json(value) else text


def _is_json(text: str) -> bool:
    try:
        nesting.check_text(text)
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _wrap(value: Any) -> dict[str, Any]:
    kind = type(value)
    if not hasattr(kind, "to_json"):
        raise TypeError(f"`{kind.__name__}` has no `to_json`")
    return dict(zip(_ENVELOPE, (kind.__name__, kind.__module__, kind.to_json(value))))


def _unwrap(value: dict[str, Any]) -> Any:
    if not all(key in value for key in _ENVELOPE):
        return value
    name, module, data = (value[key] for key in _ENVELOPE)
    kind = getattr(sys.modules.get(module), name, None)
    if not hasattr(kind, "from_json"):
        raise TypeError(f"a payload holds a `{module}.{name}`, and this app has no such class with `from_json`")
    return kind.from_json(data)


# Made only once, because `json.dumps` and `json.loads` would make them for each payload.
_encoder = json.JSONEncoder(default=_wrap, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
_ascii_encoder = json.JSONEncoder(default=_wrap, allow_nan=False, separators=(",", ":"))
_decoder = json.JSONDecoder(object_hook=_unwrap)
