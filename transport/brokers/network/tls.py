"""TLS to a broker: whom a pod trusts, and what it shows of itself."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Final, Protocol

from ...errors import BrokerRefused

__all__ = ["TlsFiles", "causes", "client_context", "tls_sentence"]


class TlsFiles(Protocol):
    """The files that a broker's settings name, all PEM; empty is none."""

    @property
    def ca_file(self) -> str:
        """Certificates to trust instead of the system's."""

    @property
    def cert_file(self) -> str:
        """What the pod shows, with the chain behind it."""

    @property
    def key_file(self) -> str:
        """The key of that; empty where it is in the same file."""


def client_context(broker: str, files: TlsFiles) -> ssl.SSLContext:
    """Return a context that verifies the server and its name, by the system's or its own CA.

    `broker` is the section of the settings. Raises `BrokerRefused`, which names the setting whose
    file is not good, where one of them is not.
    """
    context = _trusting(broker, files.ca_file)
    if files.cert_file:
        try:
            # Without a password: the prompt of OpenSSL would hang the pod.
            context.load_cert_chain(files.cert_file, files.key_file or None, password="")
        except (OSError, ValueError) as error:
            raise BrokerRefused(
                f"broker.{broker}.certFile: {files.cert_file} and its keyFile cannot be used: "
                f"{_what(error, 'they are no certificate and the key that it was made for')}."
            ) from None
    elif files.key_file:
        raise BrokerRefused(
            f"broker.{broker}.keyFile is the key of no certificate; set broker.{broker}.certFile."
        )
    return context


def _trusting(broker: str, file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=file or None)
    except (OSError, ValueError) as error:
        raise BrokerRefused(
            f"broker.{broker}.caFile: {file} cannot be used: "
            f"{_what(error, 'it holds no certificate')}."
        ) from None


def _what(error: Exception, else_: str) -> str:
    known = isinstance(error, OSError) and not isinstance(error, ssl.SSLError)
    return (known and isinstance(error, OSError) and error.strerror) or else_


_SHOW: Final = "set broker.{broker}.certFile and keyFile"

_ALERTS: Final = (
    ("CERTIFICATE_REQUIRED", f"wants a certificate of the pod: {_SHOW}"),
    ("HANDSHAKE_FAILURE", f"ends the handshake: where it wants a certificate, {_SHOW}"),
    ("UNKNOWN_CA", "does not trust the pod's certificate: change broker.{broker}.certFile"),
    ("BAD_CERTIFICATE", "does not take the pod's certificate: change broker.{broker}.certFile"),
    ("CERTIFICATE_EXPIRED", "says that broker.{broker}.certFile has expired: renew it"),
    ("WRONG_VERSION_NUMBER", "does not speak TLS there: correct the port, or set TLS off"),
)
"""TLS alerts (RFC 8446, section 6) as OpenSSL names them, and what to do about each."""


def tls_sentence(error: BaseException | None, broker: str) -> str | None:
    """Return what is wrong with the TLS of a server and the remedy, or None when it is not that.

    Looks at the error and what it was raised for; `broker` is the section of the settings.
    """
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(cause, broker)
        if isinstance(cause, ssl.SSLError):
            reason = cause.reason or str(cause)
            for sign, sentence in _ALERTS:
                if sign in reason.upper().replace(" ", "_"):
                    return sentence.format(broker=broker)
    return None


def _untrusted(error: ssl.SSLCertVerificationError, broker: str) -> str:
    said = error.verify_message
    if "expired" in said or "not yet valid" in said:
        return f"shows a certificate that is out of its time ({said}): renew it there"
    if "match" in said:
        return f"shows a certificate of somebody else ({said}): correct broker.{broker}.host"
    return (
        f"shows a certificate that is not trusted ({said}): set broker.{broker}.caFile to the "
        "certificates to trust"
    )


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it was raised for; libraries wrap without naming a cause."""
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__
