"""The pod's own secrets: generated once, kept in a file that only its owner reads."""

import errno
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

import attrs
import orjson

from .errors import SecretsError
from .files import create_once, never_waiting

FILE = "secrets.json"
MASTER_KEY, JWT_SECRET = "DEPLOYD_MASTER_KEY", "DEPLOYD_JWT_SECRET"
_MASTER_KEY_CHARACTERS = 16
_JWT_SECRET_BYTES = 32  # RFC 7518, section 3.2: a key as long as the hash
_MAX_FILE_BYTES = 64 * 1024


def _mask(_: str) -> str:
    return "'********'"


@attrs.frozen
class Secrets:
    """The key that stands for root, and the key that signs tokens; its repr shows neither."""

    master_key: str = attrs.field(repr=_mask)
    jwt_secret: str = attrs.field(repr=_mask)


def load_secrets(data: Path, environ: Mapping[str, str], *, make: bool = True) -> Secrets:
    """Read the secrets from the folder `data`, or make them at the first start.

    DEPLOYD_MASTER_KEY and DEPLOYD_JWT_SECRET take the place of what the file holds; when both
    are set the file is neither read nor made. Without `make` a missing file is an error: who runs
    with secrets wants no new ones. Raises `SecretsError`.
    """
    path, given = data / FILE, dict(environ)
    if MASTER_KEY not in given or JWT_SECRET not in given:
        kept = _read_or_make(path, make=make)
        given = {MASTER_KEY: kept.master_key, JWT_SECRET: kept.jwt_secret} | given
    found = Secrets(given[MASTER_KEY], given[JWT_SECRET])
    _refuse_short(found, path, environ)
    return found


def _read_or_make(path: Path, *, make: bool) -> Secrets:
    try:
        if make and not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            create_once(path, _generate(), mode=0o600)
        # Always read back: another process may have been the first.
        return _parse(path, _read_private(path))
    except OSError as error:
        reason = error.strerror or str(error)
        raise SecretsError(
            f"{path} cannot be read or made ({reason}); give the pod a folder of its own to "
            f"write to, or set both {MASTER_KEY} and {JWT_SECRET}"
        ) from error


def _generate() -> bytes:
    # 64 random bytes are enough for HS512 too.
    made = {"masterKey": secrets.token_urlsafe(32), "jwtSecret": secrets.token_urlsafe(64)}
    return orjson.dumps(made, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _read_private(path: Path) -> bytes:
    with open(path, "rb", opener=never_waiting) as file:
        # Asked of the open file: its name may be given to another one in between.
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        if stat.S_IMODE(mode) & 0o077:
            raise SecretsError(
                f"{path} is open to other users (mode {stat.S_IMODE(mode):04o}); "
                f"chmod 600 it, and replace its secrets if somebody may have read them"
            )
        return file.read(_MAX_FILE_BYTES)


def _parse(path: Path, content: bytes) -> Secrets:
    try:
        kept = orjson.loads(content)
    except orjson.JSONDecodeError:
        kept = None
    match kept:
        case {"masterKey": str(master_key), "jwtSecret": str(jwt_secret)}:
            return Secrets(master_key, jwt_secret)
    raise SecretsError(
        f'{path} is broken: it must be a JSON object with the texts "masterKey" and "jwtSecret"; '
        f"restore it, or remove it to start anew (tokens signed with it end)"
    )


def _refuse_short(found: Secrets, path: Path, environ: Mapping[str, str]) -> None:
    if len(found.master_key) < _MASTER_KEY_CHARACTERS:
        place = MASTER_KEY if MASTER_KEY in environ else f"masterKey in {path}"
        raise SecretsError(f"{place} is too short: at least {_MASTER_KEY_CHARACTERS} characters")
    if len(found.jwt_secret.encode()) < _JWT_SECRET_BYTES:
        place = JWT_SECRET if JWT_SECRET in environ else f"jwtSecret in {path}"
        raise SecretsError(f"{place} is too short: at least {_JWT_SECRET_BYTES} bytes")
