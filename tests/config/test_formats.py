"""The shapes that text settings may have."""

from __future__ import annotations

import pytest

from deployd.config import formats


@pytest.mark.parametrize("name", ["deployd", "my app:prod@#,_+", "x" * 100])
def test_names_of_exchanges_that_rabbitmq_takes_are_let_through(name: str) -> None:
    assert formats.exchange(name) is None


@pytest.mark.parametrize("name", ["", "amq.topic", "x" * 101, "caf\xe9", "a\n"])
def test_names_of_exchanges_that_rabbitmq_does_not_take_are_refused(name: str) -> None:
    assert formats.exchange(name) is not None
