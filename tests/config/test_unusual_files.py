"""Files that are no files hold nobody up: a pod reads its settings anew while clients wait."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deployd.config import (
    ConfigError,
    SecretsError,
    load,
    load_secrets,
)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**34)


def looping(path: Path) -> None:
    path.symlink_to(path.name)


MADE: list[Callable[[Path], object]] = [os.mkfifo, Path.mkdir, zeros, huge, looping]


@pytest.mark.parametrize("make", MADE, ids=lambda one: one.__name__)
@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_settings_are_refused(make: Callable[[Path], object], suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"pod.{suffix}"
    make(path)
    with pytest.raises(ConfigError, match=f"pod.{suffix}: it cannot be read: "):
        load(path, environ={})


@pytest.mark.parametrize("make", MADE, ids=lambda one: one.__name__)
@pytest.mark.parametrize("first_start", [True, False])
def test_secrets_are_refused(
    make: Callable[[Path], object], first_start: bool, tmp_path: Path
) -> None:
    path = tmp_path / "secrets.json"
    make(path)
    if not path.is_symlink():
        path.chmod(0o700)
    with pytest.raises(SecretsError, match=r"secrets\.json"):
        load_secrets(tmp_path, {}, make=first_start)
