"""Checks URLs for `call_http`, because the host would end an orchestrator that uses an invalid one."""

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import unquote

from dacapo import border

_ADDRESS = re.compile(r"https?:[/\\]*(?P<authority>[^/\\?#]*)", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[^:\[\]]+))(:0*(?P<port>[0-9]{0,5}))?", re.IGNORECASE)
_NOT_OF_NAMES = re.compile(r"[\x00-\x20\x7f#%/:<>?@\[\\\]^|]")
_PORT_MAX = 65_535


def web_address(value: Any, what: str) -> str:
    """Checks an absolute http or https URL."""
    text = border.text(value, what)
    if not _is_web_address(text):
        raise ValueError(f"{what} must be an absolute http or https URL, and is {text!r:.80}")
    return text


def _is_web_address(text: str) -> bool:
    # White space is removed as in browsers and in the host.
    address = _ADDRESS.match(re.sub(r"[\t\n\r]", "", text.strip("".join(map(chr, range(0x21))))))
    parts = address and _HOST_AND_PORT.fullmatch(address["authority"].rpartition("@")[2])
    if not parts or int(parts["port"] or 0) > _PORT_MAX:
        return False
    if parts["ipv6"]:
        return _is_ipv6(parts["ipv6"])
    name = unquote(parts["name"])
    if _NOT_OF_NAMES.search(name):
        return False
    last = name.removesuffix(".").rpartition(".")[2]
    return not re.fullmatch(r"[0-9]+", last) or _is_ipv4(name.removesuffix("."))


def _is_ipv4(name: str) -> bool:
    """Whether a host is an IPv4 address as browsers parse it: one to four numbers, the last for the remaining bytes."""
    *bytes_, last = name.split(".")
    if not all(re.fullmatch(r"0x[0-9a-f]*|0[0-7]*|[1-9][0-9]{0,9}", part, re.IGNORECASE) for part in [*bytes_, last]):
        return False
    return len(bytes_) <= 3 and all(_number(part) < 256 for part in bytes_) and _number(last) < 256 ** (4 - len(bytes_))


def _number(part: str) -> int:
    if part.lower().startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8 if part.startswith("0") else 10)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
