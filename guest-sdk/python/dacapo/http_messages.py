"""HTTP requests and responses, as `azure.functions` has them."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from email.parser import HeaderParser
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from dacapo import payload
from dacapo.border import well_formed


class RequestHeaders(Mapping[str, str]):
    """The headers of a request. Names are compared ignoring case, and listed in lower case."""

    def __init__(self, source: Mapping[str, str]):
        self._values = {name.lower(): value for name, value in source.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class MultiDict(dict[str, Any]):
    """The fields of a form: the first value of each name. `getlist` has all of them."""

    def __init__(self, fields: Iterable[tuple[str, Any]] = ()):
        self._fields = list(fields)
        super().__init__(reversed(self._fields))

    def getlist(self, name: str) -> list[Any]:
        """All values of a name."""
        return [value for field, value in self._fields if field == name]

    def items(self, multi: bool = False) -> Any:
        """The fields; with `multi`, also the further ones of a name."""
        return list(self._fields) if multi else super().items()


class FormFile(io.BytesIO):
    """A file of a form."""

    def __init__(self, name: str, filename: str, content_type: str, content: bytes):
        super().__init__(content)
        self.name = name
        self.filename = filename
        self.content_type = content_type
        self.content_length = len(content)

    @property
    def mimetype(self) -> str:
        """The content type without its parameters."""
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def stream(self) -> FormFile:
        """The file itself."""
        return self


class HttpRequest:
    """A request, made by the host for the function of an HTTP trigger, or by a test."""

    def __init__(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        route_params: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
    ):
        self._method = method.upper()
        self._url = url
        self._headers = RequestHeaders(headers or {})
        self._params = MappingProxyType(dict(params or {}))
        self._route_params = MappingProxyType(dict(route_params or {}))
        self._body = body.encode() if isinstance(body, str) else body or b""
        self._form: tuple[MultiDict, MultiDict] | None = None

    @property
    def method(self) -> str:
        """The method, in upper case."""
        return self._method

    @property
    def url(self) -> str:
        """The URL."""
        return self._url

    @property
    def headers(self) -> RequestHeaders:
        """The headers; several of one name are joined with commas."""
        return self._headers

    @property
    def params(self) -> Mapping[str, str]:
        """The parameters of the query; several of one name are joined with commas."""
        return self._params

    @property
    def route_params(self) -> Mapping[str, str]:
        """The parameters of the route."""
        return self._route_params

    @property
    def form(self) -> MultiDict:
        """The fields of a form in the body."""
        return self._parsed_form()[0]

    @property
    def files(self) -> MultiDict:
        """The files of a form in the body."""
        return self._parsed_form()[1]

    def get_body(self) -> bytes:
        """The body, unchanged."""
        return self._body

    def get_json(self) -> Any:
        """Parses the body as JSON. Raises `ValueError` if it is not JSON."""
        return payload.parse(self._body)

    def _parsed_form(self) -> tuple[MultiDict, MultiDict]:
        if self._form is None:
            self._form = _parse_form(self.headers.get("content-type", ""), self._body)
        return self._form


class ResponseHeaders(MutableMapping[str, str]):
    """The headers of a response. Names are compared ignoring case, and may occur several times, like `Set-Cookie`."""

    def __init__(self, source: Mapping[str, str] | Iterable[tuple[str, str]] = ()):
        self._pairs = list(source.items() if isinstance(source, Mapping) else source)

    def __getitem__(self, name: str) -> str:
        for value in self.getlist(name):
            return value
        raise KeyError(name)

    def __setitem__(self, name: str, value: str) -> None:
        self._remove(name)
        self.add(name, value)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._remove(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def add(self, name: str, value: Any) -> None:
        """Adds a header, also if there is one of that name."""
        self._pairs.append((str(name), str(value)))

    add_header = add

    def set(self, name: str, value: Any) -> None:
        """Replaces all headers of a name."""
        self[name] = value

    def getlist(self, name: str) -> list[str]:
        """The values of all headers of a name."""
        return [value for other, value in self._pairs if other.lower() == name.lower()]

    get_all = getlist

    def items(self) -> list[tuple[str, str]]:  # type: ignore[override]
        """All headers."""
        return list(self._pairs)

    def values(self) -> list[str]:  # type: ignore[override]
        """The values of all headers."""
        return [value for _, value in self._pairs]

    def _remove(self, name: str) -> None:
        self._pairs = [pair for pair in self._pairs if pair[0].lower() != name.lower()]


class HttpResponse:
    """A response, which the function of an HTTP trigger returns."""

    def __init__(
        self,
        body: str | bytes | None = None,
        *,
        status_code: int | None = None,
        headers: Mapping[str, str] | None = None,
        mimetype: str | None = None,
        charset: str | None = None,
    ):
        self._status_code = 200 if status_code is None else int(status_code)
        self._mimetype = mimetype or "text/plain"
        self._charset = charset or "utf-8"
        self._headers = ResponseHeaders(headers or {})
        encoded = body.encode(self._charset) if isinstance(body, str) else b"" if body is None else body
        if not isinstance(encoded, bytes | bytearray):
            raise TypeError(f"the body of a response must be a str or bytes, not {type(body).__name__}")
        self._body = bytes(encoded)

    @property
    def status_code(self) -> int:
        """The status code."""
        return self._status_code

    @property
    def mimetype(self) -> str:
        """The type of the body, if no header `Content-Type` says another."""
        return self._mimetype

    @property
    def charset(self) -> str:
        """The encoding of the body, if it is a text."""
        return self._charset

    @property
    def headers(self) -> ResponseHeaders:
        """The headers, which can be changed."""
        return self._headers

    def get_body(self) -> bytes:
        """The body, encoded."""
        return self._body


def request_of(input_: dict[str, Any]) -> HttpRequest:
    """The request that the contract describes."""
    return HttpRequest(
        input_["method"],
        input_["url"],
        headers=_joined(input_["headers"]),
        params=_joined(input_["query"]),
        route_params={name: str(value) for name, value in input_["params"].items() if value is not None},
        body=_body_of(input_),
    )


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _body_of(input_: dict[str, Any]) -> bytes:
    if "bodyBase64" in input_:
        return base64.b64decode(input_["bodyBase64"])
    return input_.get("body", "").encode()


def response_of(returned: Any) -> dict[str, Any]:
    """The response in the form of the contract. A function may return a text or bytes in place of a response."""
    if isinstance(returned, bytes | bytearray):
        returned = HttpResponse(bytes(returned), mimetype="application/octet-stream")
    elif isinstance(returned, str):
        returned = HttpResponse(well_formed(returned))
    if not isinstance(returned, HttpResponse):
        raise TypeError(
            f"an HTTP trigger returns an azure.functions.HttpResponse, a str or bytes, not {type(returned).__name__}. "
            'For JSON: HttpResponse(json.dumps(value), mimetype="application/json")'
        )
    if not 200 <= returned.status_code <= 999:
        raise ValueError(f"the status code of a response must be a number from 200 to 999, not {returned.status_code}")
    headers = [[_header_name(name), _header_value(name, value)] for name, value in returned.headers.items()]
    if "content-type" not in returned.headers and returned.get_body():
        charset = f"; charset={returned.charset}" if returned.mimetype.startswith("text/") else ""
        headers.append(["content-type", returned.mimetype + charset])
    return {"status": returned.status_code, "headers": headers, **_encoded_body(returned.get_body())}


_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_OF_HEADERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def _header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r:.40} is not a name of a header")
    return name


def _header_value(name: str, value: Any) -> str:
    text = well_formed(str(value))
    if _NOT_OF_HEADERS.search(text):
        raise ValueError(f"the header {name} must not contain control characters: {text!r:.80}")
    return text


def _encoded_body(body: bytes) -> dict[str, str]:
    if not body:
        return {}
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"bodyBase64": base64.b64encode(body).decode()}


def _parse_form(content_type: str, body: bytes) -> tuple[MultiDict, MultiDict]:
    """The fields and the files of a form. A body of another type has none."""
    header = HeaderParser().parsestr(f"Content-Type: {content_type}\n\n")
    match header.get_content_type(), header.get_boundary():
        case "application/x-www-form-urlencoded", _:
            fields = parse_qsl(body.decode(errors="replace"), keep_blank_values=True, errors="replace")
            return MultiDict(fields), MultiDict()
        case "multipart/form-data", str(boundary):
            parts = [part for part in _parts(boundary, body) if part is not None]
            files = [(part.name, part) for part in parts if isinstance(part, FormFile)]
            return MultiDict(part for part in parts if isinstance(part, tuple)), MultiDict(files)
        case _:
            return MultiDict(), MultiDict()


def _parts(boundary: str, body: bytes) -> Iterator[FormFile | tuple[str, str] | None]:
    # The line break before a boundary belongs to it.
    delimiter = rb"\r?\n--" + re.escape(boundary.encode()) + rb"(?=--|[ \t]*\r?\n)"
    for part in re.split(delimiter, b"\r\n" + body)[1:]:
        if part.startswith(b"--"):
            return
        head, _, content = re.sub(rb"\A[ \t]*\r?\n", b"", part).partition(b"\r\n\r\n")
        yield _part(head.decode(errors="replace"), content)


def _part(head: str, content: bytes) -> FormFile | tuple[str, str] | None:
    headers = HeaderParser().parsestr(head + "\r\n\r\n")
    name = headers.get_param("name", header="content-disposition")
    if not isinstance(name, str):
        return None
    filename = headers.get_filename()
    if filename is not None:
        return FormFile(name, filename, headers.get("content-type", "application/octet-stream"), content)
    try:
        return name, content.decode(headers.get_content_charset("utf-8"), errors="replace")
    except LookupError:  # an unknown charset
        return name, content.decode(errors="replace")
