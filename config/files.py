"""Files that others may make, change and take away at the same time."""

import errno
import os
import stat
from pathlib import Path
from secrets import token_hex


def create_once(path: Path, content: bytes, *, mode: int) -> bool:
    """Write a file that is not there yet, whole or not at all; tell whether it was written.

    When several processes do it at once one of them wins, and the others leave its file alone.
    `mode` is the file's from its first byte on, less the umask. Raises `OSError`.
    """
    draft = path.with_name(f".{path.name}.{token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # fails when the name is taken, where a rename would replace
    except FileExistsError:
        return False
    else:
        return True
    finally:
        draft.unlink()


def never_waiting(path: str, flags: int) -> int:
    """Open a file for `open(…, opener=…)`; a pipe that has nobody at its other end is no wait.

    It is an empty file to its readers, and an `OSError` for its writers.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
    os.set_blocking(descriptor, True)
    return descriptor


def read_regular(path: Path, most: int) -> bytes:
    """Return the content of a file of `most` bytes at the most.

    Raises `OSError` for whatever is none, at once: a pipe that nobody writes to, or a device that
    never ends, holds nobody up.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"Larger than {most} bytes", str(path))
    return content
