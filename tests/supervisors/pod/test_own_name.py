"""What a pod is called where its settings say nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deployd.supervisors.pod.own_name import OwnName


def test_it_is_its_hosts_and_a_few_letters_and_the_same_at_the_next_start(tmp_path: Path) -> None:
    first = OwnName("", tmp_path, host="web-1.example.org")
    assert re.fullmatch(r"web-1-[0-9a-f]{6}", first.name)
    assert first.kept
    first.release()
    assert OwnName("", tmp_path, host="another-container").name == first.name


def test_what_the_settings_say_is_the_name_and_nothing_is_written(tmp_path: Path) -> None:
    named = OwnName("ann", tmp_path, host="web-1")
    assert (named.name, named.kept) == ("ann", True)
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_share_a_folder_the_first_has_it_as_long_as_it_lives(tmp_path: Path) -> None:
    first, second = (OwnName("", tmp_path, host="h") for _ in range(2))
    assert first.name != second.name
    assert (first.kept, second.kept) == (True, False)
    first.release()
    third = OwnName("", tmp_path, host="h")
    assert (third.name, third.kept) == (first.name, True)


def test_where_there_is_no_folder_none_is_made_and_nothing_is_kept(tmp_path: Path) -> None:
    alone = OwnName("", tmp_path / "missing", host="h")
    assert not alone.kept
    assert alone.name.startswith("h-")
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff\x00", b"n" * 65, b"../up"])
def test_what_is_no_name_is_drawn_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pod-name").write_bytes(content)
    found = OwnName("", tmp_path, host="h")
    assert re.fullmatch(r"h-[0-9a-f]{6}", found.name)
    found.release()
    assert OwnName("", tmp_path).name == found.name


@pytest.mark.parametrize(
    ("host", "begins"), [("", "pod-"), ("ümläut", "ml-ut-"), ("h" * 100, "h" * 57 + "-")]
)
def test_hosts_may_be_called_whatever_they_are(tmp_path: Path, host: str, begins: str) -> None:
    found = OwnName("", tmp_path / "none", host=host)
    assert found.name.startswith(begins)
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", found.name)
