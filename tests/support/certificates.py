"""Certificates of an authority of the tests' own, and a pod's settings with one."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path
from typing import Final

import attrs
import pytest
import trustme

from deployd.config import Tls

__all__ = ["AUTHORITY", "BrokerFiles", "broker_files", "issued", "trusting"]

AUTHORITY: Final = trustme.CA()


def issued(folder: Path, *, ends: dt.datetime | None = None) -> Tls:
    """Write a new certificate and its key into a folder; a pod has them with these settings."""
    certificate = AUTHORITY.issue_cert("localhost", "127.0.0.1", not_after=ends)
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    return Tls(cert_file=str(cert), key_file=str(key))


def trusting() -> ssl.SSLContext:
    """Return a client's context that trusts the authority."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


@attrs.frozen
class BrokerFiles:
    """Files of a broker with TLS and of a pod that it asks for a certificate (PEM)."""

    authority: str
    stranger: str
    """Of another authority."""
    cert: str
    key: str
    """What the server shows, for `localhost`, 127.0.0.1 and ::1."""
    expired: str
    expired_key: str
    pod: str
    pod_key: str

    @property
    def ca(self) -> dict[str, str]:
        """Settings of a pod that trusts the server and shows nothing."""
        return {"ca_file": self.authority}

    @property
    def own(self) -> dict[str, str]:
        """Settings of a pod that also shows a certificate."""
        return {"ca_file": self.authority, "cert_file": self.pod, "key_file": self.pod_key}


@pytest.fixture(scope="session")
def broker_files(tmp_path_factory: pytest.TempPathFactory) -> BrokerFiles:
    """Certificates of an authority that a broker and its pods share."""
    folder, authority = tmp_path_factory.mktemp("certificates"), trustme.CA()

    def written(name: str, blob: trustme.Blob) -> str:
        blob.write_to_path(folder / name)
        return str(folder / name)

    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    names = ("localhost", "127.0.0.1", "::1")
    server, pod = authority.issue_cert(*names), authority.issue_cert("pod@example.org")
    expired = authority.issue_cert(*names, not_after=yesterday)
    return BrokerFiles(
        written("ca.pem", authority.cert_pem),
        written("stranger.pem", trustme.CA().cert_pem),
        written("cert.pem", server.cert_chain_pems[0]),
        written("key.pem", server.private_key_pem),
        written("expired.pem", expired.cert_chain_pems[0]),
        written("expired-key.pem", expired.private_key_pem),
        written("pod.pem", pod.cert_chain_pems[0]),
        written("pod-key.pem", pod.private_key_pem),
    )
