"""In a container `deployd` is process 1, for which the kernel drops signals without a handler."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from deployd.tools import cli
from deployd.tools.__main__ import main


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The codes that the process would have ended with."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    before = signal.getsignal(signal.SIGTERM)
    yield codes
    signal.signal(signal.SIGTERM, before)


def test_it_ends_when_told_before_it_can_stop_in_order(
    monkeypatch: pytest.MonkeyPatch, exits: list[int]
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(cli, "main", lambda: signal.raise_signal(signal.SIGTERM))
    main()
    assert exits == [143]


def test_others_are_left_to_the_kernel(monkeypatch: pytest.MonkeyPatch, exits: list[int]) -> None:
    seen: list[object] = []
    monkeypatch.setattr(cli, "main", lambda: seen.append(signal.getsignal(signal.SIGTERM)))
    before = signal.getsignal(signal.SIGTERM)
    main()
    assert seen == [before]
    assert not exits
