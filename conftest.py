"""Fixtures that `tests/` and `examples/` share."""

import logging
from collections.abc import Generator, Iterator
from typing import Any

import pytest
import structlog

# What crashes in tests is logged as structlog does unless it is told otherwise: with each frame's
# values in boxes, which takes up to two seconds and holds trio's loop as long.
_renderer = structlog.get_config()["processors"][-1]
assert isinstance(_renderer, structlog.dev.ConsoleRenderer)  # noqa: S101
_renderer.exception_formatter = structlog.dev.plain_traceback

pytest_plugins = [
    "support.browser",
    "support.certificates",
    "support.nats_server",
    "support.pgbouncer",
    "support.postgres",
    "support.proxied",
    "support.rabbitmq_server",
    "support.redis_server",
    "support.stores",
    "support.brokers",  # imports the fixtures of servers, so it comes after them
]
"""Fixtures that tests of any folder may ask for."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take `--without-servers`: skip what needs one, for the developer's inner loop."""
    parser.addoption("--without-servers", action="store_true", help="skip tests that need servers")


@pytest.fixture(scope="session")
def servers_wanted(request: pytest.FixtureRequest) -> None:
    """Stand before every fixture that starts something which takes seconds."""
    if request.config.getoption("--without-servers"):
        pytest.skip("it needs a server")


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Have what a test makes of the process's log, a level say, end with the test."""
    root, was_configured, before = logging.getLogger(), structlog.is_configured(), _logging()
    yield
    if _logging() != before:
        structlog.reset_defaults()
        config, root.handlers[:], level = before
        root.setLevel(level)
        if was_configured:
            structlog.configure(**config)


def _logging() -> tuple[dict[str, Any], list[logging.Handler], int]:
    root = logging.getLogger()
    return structlog.get_config(), root.handlers[:], root.level


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, object, object]:
    """Send what a test wrote from its worker as UTF-8, which has no lone surrogates."""
    return _encodable((yield))


def _encodable(data: object) -> object:
    if isinstance(data, str):
        return data.encode("utf-8", "backslashreplace").decode()
    if isinstance(data, dict):
        return {_encodable(key): _encodable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(map(_encodable, data))
    return data
