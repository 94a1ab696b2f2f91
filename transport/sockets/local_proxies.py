"""Whether the other end of a connection within this machine is a server itself: a proxy, a tunnel.

What asks on behalf of others listens for them; browsers and command lines do not. Linux knows who
is at the other end; elsewhere nothing is known.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["is_local_proxy"]

_PROC: Final = Path("/proc")
_TABLES: Final = ("net/tcp", "net/tcp6")
_LISTENS: Final = "0A"
_SOCKET: Final = "socket:["


def is_local_proxy(peer: tuple[str, int], port: int) -> bool:
    """Say whether the process at an address and a port, connected to our port, also listens.

    So does one that we may not look at, for it is another user's, or is in another container. The
    pod's own process does not: it asks for nobody else.
    """
    try:
        rows = list(_rows())
    except OSError:
        return False  # not Linux
    ends = _written(*peer)
    asking = {inode for local, remote, _, inode in rows if local in ends and _port(remote) == port}
    if asking & _sockets("self"):
        return False
    listening = {inode for _, _, state, inode in rows if state == _LISTENS}
    found = [held for held in map(_sockets, _processes()) if held & asking]
    return not found or any(held & listening for held in found)


def _rows() -> Iterator[tuple[str, str, str, str]]:
    """Yield the local and the remote end, the state and the inode of each TCP socket (proc(5))."""
    for table in _TABLES:
        lines = (_PROC / table).read_text(encoding="ascii").splitlines()
        for line in lines[1:]:
            _, local, remote, state, _, _, _, _, _, inode, *_ = line.split()
            yield local, remote, state, inode


def _written(address: str, port: int) -> frozenset[str]:
    """Return how those tables write an address: IPv4 perhaps as IPv6 carries it."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    packed = (mapped or ip).packed
    forms = [packed] if len(packed) == 16 else [packed, bytes(10) + b"\xff\xff" + packed]
    return frozenset(f"{_hex(form)}:{port:04X}" for form in forms)


def _hex(packed: bytes) -> str:
    """Write four bytes at a time as a number of this machine's."""
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)


def _port(end: str) -> int:
    return int(end.rpartition(":")[2], 16)


def _processes() -> Iterator[str]:
    return (name for name in os.listdir(_PROC) if name.isdecimal())


def _sockets(process: str) -> set[str]:
    """Return the inodes of the sockets that a process has; none where we may not look."""
    folder, held = _PROC / process / "fd", set()
    try:
        names = os.listdir(folder)
    except OSError:
        return set()
    for name in names:
        try:
            target = os.readlink(folder / name)
        except OSError:
            continue  # closed meanwhile
        if target.startswith(_SOCKET):
            held.add(target[len(_SOCKET) : -1])
    return held
