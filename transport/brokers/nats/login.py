"""How a pod proves to a NATS server who it is, and the server to the pod."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from nats.aio.client import RawCredentials

from ....config import Nats as NatsSettings
from ...errors import BrokerRefused
from ..network import client_context

__all__ = ["login"]

_MARKS: Final = ("-----BEGIN NATS USER JWT-----", "-----BEGIN USER NKEY SEED-----")


def login(settings: NatsSettings) -> dict[str, Any]:
    """Return what nats-py's `connect` wants of it.

    Reads the files that the settings name; `BrokerRefused` when they are not what they should be.
    """
    options: dict[str, Any] = {}
    if settings.tls:
        options["tls"] = client_context("nats", settings)
        options["tls_handshake_first"] = settings.tls_first
    if settings.nkey_file:
        options["nkeys_seed_str"] = _nkey(settings.nkey_file)
    elif settings.credentials_file:
        options["user_credentials"] = _credentials(settings.credentials_file)
    elif settings.username:
        options.update(user=settings.username, password=settings.password)
    if settings.token:
        options["token"] = settings.token
    return options


def _nkey(file: str) -> str:
    where = f"broker.nats.nkeyFile: {file}"
    lines = [line.strip() for line in _text(file, where, "a seed").splitlines()]
    # `nk -gen user` writes the seed alone, `nsc` with its marks around it.
    seed = _after(_MARKS[1], lines) or next((line for line in lines if line), "")
    if not seed.startswith("SU") or not _is_seed(seed):
        raise BrokerRefused(f"{where} holds no user's seed: make it with `nk -gen user`.")
    return seed


def _text(file: str, where: str, what: str) -> str:
    try:
        return Path(file).read_text(encoding="ascii")
    except OSError as error:
        raise BrokerRefused(f"{where} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BrokerRefused(f"{where} is not a file of {what}.") from None


def _credentials(file: str) -> RawCredentials:
    """Read and check the file: nats-py reads one without its marks for ever."""
    where = f"broker.nats.credentialsFile: {file}"
    text = _text(file, where, "credentials (.creds)")
    lines = [line.strip() for line in text.splitlines()]
    values = [_after(mark, lines) for mark in _MARKS]
    if not all(values) or not _is_seed(values[1]):
        raise BrokerRefused(
            f"{where} holds no user's JWT and seed: make it with `nsc generate creds`."
        )
    # In the form that nats-py cuts to pieces: without carriage returns or indentation.
    return RawCredentials("\n".join(lines) + "\n")


def _after(mark: str, lines: list[str]) -> str:
    following = lines[lines.index(mark) + 1 :] if mark in lines else []
    return following[0] if following and not following[0].startswith("-") else ""


def _is_seed(seed: str) -> bool:
    import nkeys  # type: ignore[import-untyped]  # with libsodium: only where it is wanted

    try:
        nkeys.from_seed(bytearray(seed.encode())).wipe()
    except (nkeys.NkeysError, ValueError):
        return False
    return True
