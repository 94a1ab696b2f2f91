"""The files of a certificate are looked at for each connection: whatever they are, it comes in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from deployd.transport import Certificate, TlsError
from support.certificates import issued


def dangling(path: Path) -> None:
    path.symlink_to("/nowhere")


def looping(path: Path) -> None:
    path.symlink_to(path.name)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def half_written(path: Path) -> None:
    path.write_text("-----BEGIN CERTIFICATE-----\nMIIB")


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**34)


def nothing(path: Path) -> None:
    """Leave no file there."""


MADE: list[Callable[[Path], object]] = [
    *(os.mkfifo, Path.mkdir, Path.touch, dangling, looping, device, half_written, huge, nothing)
]


@pytest.mark.parametrize("make", MADE, ids=lambda one: one.__name__)
@pytest.mark.parametrize("which", ["cert_file", "key_file"])
def test_the_certificate_in_use_stays_until_there_is_a_good_one(
    which: str, make: Callable[[Path], object], tmp_path: Path
) -> None:
    tls = issued(tmp_path)
    certificate = Certificate(tls.cert_file, tls.key_file)
    before = certificate.context()
    file = Path(getattr(tls, which))
    kept = tmp_path / "kept.pem"
    shutil.move(file, kept)
    make(file)
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            assert certificate.context() is before
    assert [line["event"] for line in lines] == ["the old certificate stays in use"]
    with pytest.raises(TlsError):
        Certificate(tls.cert_file, tls.key_file)
    if file.is_dir():
        file.rmdir()
    else:
        file.unlink(missing_ok=True)
    shutil.move(kept, file)
    os.utime(file, (1, 1))
    assert certificate.context() is not before
