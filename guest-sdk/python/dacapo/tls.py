"""The module `ssl`, for guests. The host speaks TLS and always checks certificates.

Settings of a context have no effect. The names exist because HTTP clients use them at import and for each connection.
"""

from __future__ import annotations

import enum
import sys
from typing import Any, NamedTuple

HAS_ALPN = HAS_SNI = HAS_TLSv1_3 = HAS_NEVER_CHECK_COMMON_NAME = True
OPENSSL_VERSION = "OpenSSL 3.0.0 (the host's TLS)"
OPENSSL_VERSION_INFO = (3, 0, 0, 0, 0)
OPENSSL_VERSION_NUMBER = 0x30000000


class VerifyMode(enum.IntEnum):
    CERT_NONE = 0
    CERT_OPTIONAL = 1
    CERT_REQUIRED = 2


class TLSVersion(enum.IntEnum):
    MINIMUM_SUPPORTED = -2
    MAXIMUM_SUPPORTED = -1
    SSLv3 = 0x300
    TLSv1 = 0x301
    TLSv1_1 = 0x302
    TLSv1_2 = 0x303
    TLSv1_3 = 0x304


class VerifyFlags(enum.IntFlag):
    VERIFY_DEFAULT = 0
    VERIFY_X509_STRICT = 0x20
    VERIFY_X509_PARTIAL_CHAIN = 0x80000


class Options(enum.IntFlag):
    OP_ALL = 0x80000050
    OP_IGNORE_UNEXPECTED_EOF = 0x80
    OP_NO_COMPRESSION = 0x20000
    OP_NO_RENEGOTIATION = 0x40000000
    OP_NO_SSLv2 = 0
    OP_NO_SSLv3 = 0x2000000
    OP_NO_TICKET = 0x4000
    OP_NO_TLSv1 = 0x4000000
    OP_NO_TLSv1_1 = 0x10000000


class Protocol(enum.IntEnum):
    PROTOCOL_SSLv23 = PROTOCOL_TLS = 2
    PROTOCOL_TLSv1 = 3
    PROTOCOL_TLSv1_1 = 4
    PROTOCOL_TLSv1_2 = 5
    PROTOCOL_TLS_CLIENT = 16
    PROTOCOL_TLS_SERVER = 17


for _constants in (VerifyMode, VerifyFlags, Options, Protocol):
    globals().update(_constants.__members__)


class Purpose(enum.Enum):
    SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
    CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"


class SSLError(OSError): ...


class SSLZeroReturnError(SSLError): ...


class SSLWantReadError(SSLError): ...


class SSLWantWriteError(SSLError): ...


class SSLSyscallError(SSLError): ...


class SSLEOFError(SSLError): ...


class SSLCertVerificationError(SSLError, ValueError): ...


CertificateError = SSLCertVerificationError


class SSLContext:
    """Marks connections as using TLS."""

    def __init__(self, protocol: int = Protocol.PROTOCOL_TLS):
        self.protocol = protocol
        self.check_hostname = self.hostname_checks_common_name = True
        self.post_handshake_auth = False
        self.keylog_filename: str | None = None
        self.verify_mode = VerifyMode.CERT_REQUIRED
        self.verify_flags = VerifyFlags.VERIFY_DEFAULT
        self.options = Options.OP_ALL
        self.minimum_version = TLSVersion.TLSv1_2
        self.maximum_version = TLSVersion.MAXIMUM_SUPPORTED

    def wrap_socket(self, sock: Any, *_: Any, **__: Any) -> Any:
        sock.scheme = "https"
        return sock

    def wrap_bio(self, incoming: MemoryBIO, outgoing: MemoryBIO, *_: Any, **__: Any) -> SSLObject:
        return SSLObject(self, incoming, outgoing)

    def load_cert_chain(self, *_: Any, **__: Any) -> None:
        raise SSLError("a guest cannot show a certificate: the host speaks TLS for it")

    def load_default_certs(self, *_: Any) -> None: ...

    def load_verify_locations(self, *_: Any, **__: Any) -> None: ...

    def set_alpn_protocols(self, _: Any) -> None: ...

    def set_ciphers(self, _: str) -> None: ...

    def set_default_verify_paths(self) -> None: ...

    def cert_store_stats(self) -> dict[str, int]:
        return {"x509": 0, "crl": 0, "x509_ca": 0}

    def get_ca_certs(self, binary_form: bool = False) -> list:
        return []


class SSLSocket:
    """For `isinstance`: the sockets of a guest are `dacapo.sockets.HttpSocket`."""


HELLO = b"\x16\x03\x03 the host speaks TLS\r\n"
"""What an `SSLObject` writes in place of a handshake, to tell the connection below it that the host is to use TLS."""


class MemoryBIO:
    """A buffer between an `SSLObject` and a connection."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._is_ended = False

    def read(self, size: int = -1) -> bytes:
        size = len(self._data) if size < 0 else size
        data = bytes(self._data[:size])
        del self._data[:size]
        return data

    def write(self, data: Any) -> int:
        self._data += data
        return len(data)

    def write_eof(self) -> None:
        self._is_ended = True

    @property
    def pending(self) -> int:
        return len(self._data)

    @property
    def eof(self) -> bool:
        return self._is_ended and not self._data


class SSLObject:
    """TLS without a connection of its own: passes everything on as it is."""

    def __init__(self, context: SSLContext, incoming: MemoryBIO, outgoing: MemoryBIO):
        self.context, self._incoming, self._outgoing = context, incoming, outgoing
        self.server_side, self.server_hostname, self.session = False, None, None

    def do_handshake(self) -> None:
        self._outgoing.write(HELLO)

    def read(self, size: int = 1024, buffer: Any = None) -> Any:
        if not self._incoming.pending:
            raise SSLZeroReturnError("the connection is closed") if self._incoming.eof else SSLWantReadError("no data")
        data = self._incoming.read(size if buffer is None else min(size, len(buffer)))
        if buffer is None:
            return data
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        return self._outgoing.write(data)

    def unwrap(self) -> None: ...

    def pending(self) -> int:
        return self._incoming.pending

    def selected_alpn_protocol(self) -> None:
        """None was selected, which means HTTP/1.1."""

    def selected_npn_protocol(self) -> None: ...

    def version(self) -> str:
        return "TLSv1.3"

    def cipher(self) -> tuple[str, str, int]:
        return "TLS_AES_128_GCM_SHA256", "TLSv1.3", 128

    shared_ciphers = compression = selected_npn_protocol

    def getpeercert(self, binary_form: bool = False) -> Any:
        """Empty: the host has checked the certificate, but does not provide it."""
        return b"" if binary_form else {}

    def get_channel_binding(self, cb_type: str = "tls-unique") -> None: ...


class DefaultVerifyPaths(NamedTuple):
    cafile: str | None = None
    capath: str | None = None
    openssl_cafile_env: str = "SSL_CERT_FILE"
    openssl_cafile: str = "/etc/ssl/cert.pem"
    openssl_capath_env: str = "SSL_CERT_DIR"
    openssl_capath: str = "/etc/ssl/certs"


def get_default_verify_paths() -> DefaultVerifyPaths:
    """There are none: the host checks certificates."""
    return DefaultVerifyPaths()


def create_default_context(*_: Any, **__: Any) -> SSLContext:
    return SSLContext(Protocol.PROTOCOL_TLS_CLIENT)


_create_default_https_context = _create_unverified_context = create_default_context


def relieve_requests() -> None:
    """Stops `requests`, if it is loaded, from reading a file of trusted certificates, which a guest does not have."""
    adapters = sys.modules.get("requests.adapters")
    if adapters is not None:
        adapters.HTTPAdapter.cert_verify = lambda *_, **__: None
