"""Paths in the settings mean the files that they meant at the start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from deployd.config import Config, with_absolute_paths
from deployd.config.fields import setting_of

HERE = Path("/srv/pod")


def paths_of(section: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Yield each setting that names a file or a folder, which its help begins with."""
    for attribute in attrs.fields(type(section)):
        value, key = getattr(section, attribute.name), f"{at}{attribute.name}"
        about = setting_of(attribute)
        if about is None:
            yield from paths_of(value, f"{key}.")
        elif about.help.startswith(("File ", "Folder ", "Certificates ")):
            yield key, value


def filled(section: Any) -> Any:
    """Return a section in which no path is empty."""
    changes: dict[str, Any] = {}
    for attribute in attrs.fields(type(section)):
        about = setting_of(attribute)
        if about is None:
            changes[attribute.name] = filled(getattr(section, attribute.name))
        elif about.help.startswith(("File ", "Folder ", "Certificates ")):
            changes[attribute.name] = f"kept/{attribute.name}"
    return attrs.evolve(section, **changes)


def test_every_setting_that_names_a_file_or_folder_is_taken_from_where_the_pod_started() -> None:
    config = filled(Config())
    paths = dict(paths_of(config))
    assert {"server.data", "server.public", "collections.folder", "tls.key_file"} <= paths.keys()
    assert dict(paths_of(with_absolute_paths(config, HERE))) == {
        key: f"/srv/pod/{path}" for key, path in paths.items()
    }


def test_an_absolute_path_and_an_empty_one_stay_what_they_are() -> None:
    config = attrs.evolve(Config(), server=attrs.evolve(Config().server, data="/var/lib/pod"))
    placed = with_absolute_paths(config, HERE)
    assert placed.server.data == "/var/lib/pod"
    assert placed.tls.cert_file == ""
    assert with_absolute_paths(placed, Path("/elsewhere")) == placed
