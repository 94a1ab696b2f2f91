"""Who is at the other end of a connection within this machine: asked of the kernel, for real."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployd.transport.sockets import local_proxies
from deployd.transport.sockets.local_proxies import is_local_proxy

CONNECT = "import socket, sys; c = socket.create_connection((sys.argv[1], int(sys.argv[2])))"
LISTEN = "s = socket.create_server(('127.0.0.1', 0))"
STAY = "print('there', flush=True); sys.stdin.read()"


@contextmanager
def connected(host: str, *more: str, dual: bool = False) -> Iterator[tuple[tuple[str, int], int]]:
    """Let another process connect to a port of ours; its end, and the port."""
    family = socket.AF_INET6 if dual or ":" in host else socket.AF_INET
    place = "::" if dual else host
    server = socket.create_server((place, 0), family=family, dualstack_ipv6=dual)
    script = "; ".join([CONNECT, *more, STAY])
    with server:
        port = server.getsockname()[1]
        command = [sys.executable, "-c", script, host, str(port)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == b"there\n"
                sock, peer = server.accept()
                with sock:
                    yield (peer[0], peer[1]), port
            finally:
                process.kill()


@pytest.mark.parametrize(
    ("host", "dual"),
    [("127.0.0.1", False), ("127.0.0.5", False), ("::1", False), ("127.0.0.1", True)],
)
def test_who_only_connects_asks_for_itself_and_who_listens_too_for_others(
    host: str, *, dual: bool
) -> None:
    with connected(host, dual=dual) as (peer, port):
        assert not is_local_proxy(peer, port)
    with connected(host, LISTEN, dual=dual) as (peer, port):
        assert is_local_proxy(peer, port)


def test_our_own_process_asks_for_itself_also_while_it_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address) as client:
            assert not is_local_proxy(client.getsockname(), address[1])


def test_who_has_gone_and_whom_we_may_not_look_at_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with connected("127.0.0.1") as (peer, port):
        assert is_local_proxy((peer[0], 1), port)
        assert is_local_proxy(peer, port + 1)
        monkeypatch.setattr(local_proxies, "_sockets", lambda process: set())
        assert is_local_proxy(peer, port)


def test_where_the_kernel_does_not_say_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(local_proxies, "_PROC", tmp_path)
    assert not is_local_proxy(("127.0.0.1", 1), 2)
