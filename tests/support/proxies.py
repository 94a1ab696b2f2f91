"""Real proxies in front of a pod: Debian's nginx and HAProxy, on free ports, gone afterwards.

Both keep the connections to the pod and use them again for whoever comes next, as they do in
front of any application that has more than one client.
"""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .servers import ServerProcess, free_port, not_installed

__all__ = ["PROXIES", "forwarder", "haproxy", "nginx"]

_PATH: Final = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"

_NGINX: Final = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log stderr;
events {{ worker_connections 200; }}
http {{
  access_log off; {temporary}
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream pod {{ server 127.0.0.1:{pod}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://pod;
      proxy_http_version 1.1;
      proxy_set_header Host {host};
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      {said}
    }}
  }}
}}
"""

_HAPROXY: Final = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout tunnel 60s
    {said}
    http-reuse always

frontend all
    bind 127.0.0.1:{port} {bind}
    default_backend pods

backend pods
    server pod 127.0.0.1:{pod}
"""


class _Proxy(ServerProcess):
    def __init__(self, command: list[str | Path], folder: Path, port: int) -> None:
        self.port = port
        super().__init__(command, folder, self._answers)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


@contextmanager
def nginx(pod: int, folder: Path, *, quiet: bool = False) -> Iterator[int]:
    """Run nginx in front of a pod's port, and return its own.

    When `quiet` it says nothing of its clients, and asks for the pod's own address.
    """
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    port, file = free_port(), folder / "nginx.conf"
    said = "" if quiet else "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
    host = f"127.0.0.1:{pod}" if quiet else "$http_host"
    places = {"folder": folder, "temporary": temporary, "pod": pod, "port": port}
    file.write_text(_NGINX.format(**places, said=said, host=host))
    command: list[str | Path] = [
        _program("nginx", "nginx"),
        "-p",
        folder,
        "-e",
        "stderr",
        "-c",
        file,
    ]
    yield from _run(command, folder, port)


@contextmanager
def haproxy(pod: int, folder: Path, bind: str = "", *, quiet: bool = False) -> Iterator[int]:
    """Run HAProxy in front of a pod's port, and return its own.

    With `proto h2` in `bind` it speaks HTTP/2 with its clients, and HTTP/1.1 with the pod. When
    `quiet` it says nothing of its clients, as it does by default.
    """
    port, file = free_port(), folder / "haproxy.cfg"
    said = "" if quiet else "option forwardfor"
    file.write_text(_HAPROXY.format(pod=pod, port=port, bind=bind, said=said))
    yield from _run([_program("haproxy", "haproxy"), "-db", "-f", file], folder, port)


@contextmanager
def forwarder(pod: int, folder: Path, *, quiet: bool = True) -> Iterator[int]:
    """Run what passes bytes on and knows nothing of HTTP, as `socat` and `ssh -R` do."""
    assert quiet
    port = free_port()
    command = [sys.executable, "-P", "-m", "deployd.tools", "chaos", "proxy", "--api", "none"]
    yield from _run([*command, "--listen", str(port), "--upstream", str(pod)], folder, port)


PROXIES: Final = (nginx, haproxy)


def _run(command: list[str | Path], folder: Path, port: int) -> Iterator[int]:
    server = _Proxy(command, folder, port)
    server.start()
    try:
        yield port
    finally:
        server.kill()


def _program(name: str, package: str) -> str:
    program = shutil.which(name, path=_PATH)
    if program is None:
        not_installed(name, f"{package} (Debian)")
        raise AssertionError("skipped")
    return program
