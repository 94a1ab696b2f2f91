"""What of a pod's files nobody else is to see."""

from pathlib import Path

from .catalogue import ENTRIES
from .schema import Config

__all__ = ["private_places"]


def private_places(config: Config) -> tuple[Path, ...]:
    """List the folders and files that the settings name and that hold secrets, data or code.

    Each setting whose name ends in `File` names one: keys, certificates, credentials.
    """
    files = [e.value(config) for e in ENTRIES.values() if e.names[-1].endswith("_file")]
    named = [config.server.data, config.collections.folder, *map(str, filter(None, files))]
    return tuple(map(Path, named))
