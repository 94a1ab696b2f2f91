"""A real HAProxy in front of pods, as operators run it; killed at the end."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from _rolling_pod import ready

from deployd.tools.chaos.servers import ServerProcess

__all__ = ["balanced"]

CONFIG: Final = """\
global
    maxconn 4000
defaults
    mode http
    option redispatch 1
    retries 3
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout http-request 10s
    timeout tunnel 1h
frontend clients
    bind 127.0.0.1:{port}
    option forwardfor
    default_backend pods
backend pods
    balance leastconn
    option httpchk GET /health/ready
    default-server check inter 200ms fall 1 rise 1
{servers}
"""


@contextmanager
def balanced(port: int, pods: Sequence[int]) -> Iterator[None]:
    """Run one on a port before pods on these, until it answers for them."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        sys.exit("this needs haproxy (a Debian package of that name)")
    servers = "\n".join(f"    server pod{n} 127.0.0.1:{pod}" for n, pod in enumerate(pods))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "haproxy.cfg"
        file.write_text(CONFIG.format(port=port, servers=servers))
        proxy = ServerProcess([program, "-db", "-f", file], Path(folder), lambda: ready(port))
        try:
            proxy.start()
            yield
        finally:
            proxy.kill()
