"""Secrets are made once, kept private, and overridden by the environment."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from deployd.config import Secrets, SecretsError, load_secrets

MASTER, JWT = "m" * 16, "j" * 32
BOTH = {"DEPLOYD_MASTER_KEY": MASTER, "DEPLOYD_JWT_SECRET": JWT}


@pytest.fixture
def keep(tmp_path: Path) -> Callable[..., Path]:
    def keep_it(content: bytes, mode: int = 0o600) -> Path:
        path = tmp_path / "secrets.json"
        path.write_bytes(content)
        path.chmod(mode)
        return path

    return keep_it


def document(master: str = MASTER, jwt: str = JWT) -> bytes:
    return orjson.dumps({"masterKey": master, "jwtSecret": jwt})


def test_the_first_start_makes_secrets_that_only_the_owner_reads(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"

    made = load_secrets(data, {})

    assert (data / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert data.stat().st_mode & 0o777 == 0o700
    assert len(made.master_key) >= 32
    assert len(made.jwt_secret) >= 64
    assert [kept.name for kept in data.iterdir()] == ["secrets.json"]


def test_the_next_start_finds_the_same_secrets(tmp_path: Path) -> None:
    assert load_secrets(tmp_path, {}) == load_secrets(tmp_path, {})


def test_two_folders_have_different_secrets(tmp_path: Path) -> None:
    first, second = load_secrets(tmp_path / "a", {}), load_secrets(tmp_path / "b", {})

    assert first.master_key != second.master_key
    assert first.jwt_secret != second.jwt_secret


def test_the_environment_overrides_each_secret(tmp_path: Path) -> None:
    made = load_secrets(tmp_path, {})

    assert load_secrets(tmp_path, {"DEPLOYD_MASTER_KEY": MASTER}) == Secrets(
        MASTER, made.jwt_secret
    )
    assert load_secrets(tmp_path, {"DEPLOYD_JWT_SECRET": JWT}) == Secrets(made.master_key, JWT)


def test_no_file_is_needed_when_the_environment_has_both(tmp_path: Path) -> None:
    assert load_secrets(tmp_path / "none", BOTH) == Secrets(MASTER, JWT)
    assert not (tmp_path / "none").exists()


def test_starts_at_the_same_time_end_with_the_same_secrets(tmp_path: Path) -> None:
    found: list[Secrets] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        found.append(load_secrets(tmp_path / "data", {}))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len({secrets.jwt_secret for secrets in found}) == 1
    assert len(list((tmp_path / "data").iterdir())) == 1


def test_a_process_that_comes_second_takes_the_secrets_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def slow_link(draft: Path, path: Path) -> None:
        Path(path).touch(mode=0o600)  # the other process is faster by this much
        Path(path).write_bytes(document())
        link(draft, path)

    monkeypatch.setattr(os, "link", slow_link)

    assert load_secrets(tmp_path, {}) == Secrets(MASTER, JWT)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o644])
def test_a_file_that_others_can_open_is_refused(keep: Callable[..., Path], mode: int) -> None:
    path = keep(document(), mode)

    with pytest.raises(SecretsError, match=rf"mode {mode:04o}\); chmod 600"):
        load_secrets(path.parent, {})


@pytest.mark.parametrize("content", [
    b"", b"{", b"[]", b"null", b"\xff", b"{}", b'{"masterKey": "mmmmmmmmmmmmmmmm"}',
    b'{"masterKey": 5, "jwtSecret": 6}',
])  # fmt: skip
def test_a_broken_file_is_refused_and_left_as_it_is(
    keep: Callable[..., Path], content: bytes
) -> None:
    path = keep(content)

    with pytest.raises(SecretsError, match=r"is broken: .* restore it, or remove it"):
        load_secrets(path.parent, {})
    assert path.read_bytes() == content


@pytest.mark.parametrize(("content", "place"), [
    (document(master="m" * 15), "masterKey in "),
    (document(jwt="j" * 31), "jwtSecret in "),
])  # fmt: skip
def test_a_short_secret_in_the_file_is_refused(
    keep: Callable[..., Path], content: bytes, place: str
) -> None:
    path = keep(content)

    with pytest.raises(SecretsError, match=f"^{place}.* is too short") as caught:
        load_secrets(path.parent, {})
    assert "mmm" not in str(caught.value)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("value", ["", "short"])
def test_a_short_secret_in_the_environment_is_refused(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(SecretsError, match=f"^{name} is too short: at least "):
        load_secrets(tmp_path, {**BOTH, name: value})


def test_a_secret_is_counted_in_bytes(tmp_path: Path) -> None:
    assert load_secrets(tmp_path, BOTH | {"DEPLOYD_JWT_SECRET": "ü" * 16}).jwt_secret == "ü" * 16


def test_a_folder_that_cannot_be_made_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SecretsError, match="set both DEPLOYD_MASTER_KEY and DEPLOYD_JWT_SECRET"):
        load_secrets(tmp_path / "file" / "data", {})


def test_a_file_system_without_links_is_told_and_left_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)

    with pytest.raises(SecretsError, match="Operation not permitted"):
        load_secrets(tmp_path, {})
    assert list(tmp_path.iterdir()) == []


def test_the_repr_shows_no_secret() -> None:
    assert repr(Secrets(MASTER, JWT)) == "Secrets(master_key='********', jwt_secret='********')"
