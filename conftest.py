"""Fixtures that `tests/` and `examples/` share."""

pytest_plugins = ["support.browser"]
