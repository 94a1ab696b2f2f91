"""What can be set: settings, secrets and logging. Nothing here knows who uses it."""

from .brokers import Broker, Nats, RabbitMQ, Redis
from .errors import ConfigError, ConfigurationError, SecretsError
from .json_schema import json_schema
from .limits import Limits
from .load import Loaded, load, write_default
from .logs import configure_logging, get_logger, tracing
from .report import Row, explain, reference_markdown
from .schema import (
    Access,
    Auth,
    Config,
    Drain,
    Logging,
    Network,
    Origins,
    Performance,
    Rule,
    Server,
    Tls,
    Who,
)
from .secrets import Secrets, load_secrets

__all__ = [
    "Access",
    "Auth",
    "Broker",
    "Config",
    "ConfigError",
    "ConfigurationError",
    "Drain",
    "Limits",
    "Loaded",
    "Logging",
    "Nats",
    "Network",
    "Origins",
    "Performance",
    "RabbitMQ",
    "Redis",
    "Row",
    "Rule",
    "Secrets",
    "SecretsError",
    "Server",
    "Tls",
    "Who",
    "configure_logging",
    "explain",
    "get_logger",
    "json_schema",
    "load",
    "load_secrets",
    "reference_markdown",
    "tracing",
    "write_default",
]
