"""Making a file that several processes may want to make at once."""

import os
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
