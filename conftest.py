"""Fixtures that `tests/` and `examples/` share."""

pytest_plugins = [
    "support.browser",
    "support.brokers",
    "support.postgres",
    "support.redis_server",
    "support.stores",
]
"""Fixtures that tests of any folder may ask for."""
