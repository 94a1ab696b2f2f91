"""How a broker's server is reached: its address as people write it, and TLS."""

from .addresses import bare_host, read, written
from .tls import TlsFiles, causes, client_context, tls_sentence

__all__ = [
    "TlsFiles",
    "bare_host",
    "causes",
    "client_context",
    "read",
    "tls_sentence",
    "written",
]
