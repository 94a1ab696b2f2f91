"""A pod that answers commands in place of the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import pytest
from attrs import frozen

from deployd.tools.common import Address, asking

__all__ = ["AskedPod", "Question"]

T = TypeVar("T")


@frozen
class Question:
    """What a command has asked."""

    address: Address
    path: str
    key: str | None
    method: str
    body: object
    token: str | None


class AskedPod(Generic[T]):
    """Gives one answer, or raises it; `asked` is what `noted` makes of each question."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, answer: object, noted: Callable[[Question], T]
    ) -> None:
        self.asked: list[T] = []
        self.answer = answer
        self._noted = noted
        monkeypatch.setattr(asking, "ask", self._ask)

    def _ask(
        self,
        address: Address,
        path: str,
        key: str | None,
        *,
        method: str,
        body: object,
        token: str | None,
    ) -> object:
        self.asked.append(self._noted(Question(address, path, key, method, body, token)))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer
