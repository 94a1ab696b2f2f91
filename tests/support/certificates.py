"""Certificates of an authority of the tests' own, and a pod's settings with one."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

import trustme

from deployd.config import TlsSettings

__all__ = ["AUTHORITY", "issued", "trusting"]

AUTHORITY: Final = trustme.CA()


def issued(folder: Path) -> TlsSettings:
    """Write a new certificate and its key into a folder; a pod has them with these settings."""
    certificate = AUTHORITY.issue_cert("localhost", "127.0.0.1")
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    return TlsSettings(cert_file=str(cert), key_file=str(key))


def trusting() -> ssl.SSLContext:
    """Return a client's context that trusts the authority."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context
