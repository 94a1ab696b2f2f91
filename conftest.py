"""Fixtures that `tests/` and `examples/` share."""

pytest_plugins = [
    "support.browser",
    "support.nats_server",
    "support.postgres",
    "support.rabbitmq_server",
    "support.redis_server",
    "support.stores",
    "support.brokers",  # imports the fixtures of servers, so it comes after them
]
"""Fixtures that tests of any folder may ask for."""
