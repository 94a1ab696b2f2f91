"""What can be set: settings, secrets and logging. Nothing here knows who uses it."""

from .audit import Audit, Audited
from .brokers import (
    Broker,
    FailurePolicy,
    Nats,
    RabbitMQ,
    ReadyPolicy,
    ReceiptPolicy,
    Redis,
)
from .classes import ClassNotFound, load_class
from .definition import (
    BUILT_IN,
    JSON,
    Definition,
    Permissions,
    Property,
    PropertyType,
    Right,
    check_collection_name,
    read_definition,
)
from .errors import ConfigError, ConfigurationError, Misconfiguration, SecretsError
from .files import read_regular
from .in_force import InForce, Reading, read_again
from .json_schema import json_schema
from .limits import Limits
from .load import Loaded, load, logging_wanted, write_default
from .logs import (
    bind_log_context,
    configure_logging,
    get_logger,
    lead_into_logging,
    log_level,
    logs_for_people,
    reopen_log,
    set_log_level,
    tracing,
)
from .operations import Chaos, Metrics, Stress
from .origins import Origin, ascii_host, default_port, read_origin
from .paths import private_paths, with_absolute_paths
from .patterns import PatternMap, matches
from .redact import redact_text
from .report import Row, explain, reference_markdown, text_of
from .sampling import LogLimiter, LogSampler
from .schema import (
    LEVELS,
    Access,
    Auth,
    Collections,
    Config,
    Drain,
    Logging,
    Network,
    Origins,
    Performance,
    Rule,
    Server,
    Speaker,
    Store,
    Tls,
    Who,
)
from .secrets import Secrets, load_secrets

__all__ = [
    "BUILT_IN",
    "JSON",
    "LEVELS",
    "Access",
    "Audit",
    "Audited",
    "Auth",
    "Broker",
    "Chaos",
    "ClassNotFound",
    "Collections",
    "Config",
    "ConfigError",
    "ConfigurationError",
    "Definition",
    "Drain",
    "FailurePolicy",
    "InForce",
    "Limits",
    "Loaded",
    "LogLimiter",
    "LogSampler",
    "Logging",
    "Metrics",
    "Misconfiguration",
    "Nats",
    "Network",
    "Origin",
    "Origins",
    "PatternMap",
    "Performance",
    "Permissions",
    "Property",
    "PropertyType",
    "RabbitMQ",
    "Reading",
    "ReadyPolicy",
    "ReceiptPolicy",
    "Redis",
    "Right",
    "Row",
    "Rule",
    "Secrets",
    "SecretsError",
    "Server",
    "Speaker",
    "Store",
    "Stress",
    "Tls",
    "Who",
    "ascii_host",
    "bind_log_context",
    "check_collection_name",
    "configure_logging",
    "default_port",
    "explain",
    "get_logger",
    "json_schema",
    "lead_into_logging",
    "load",
    "load_class",
    "load_secrets",
    "log_level",
    "logging_wanted",
    "logs_for_people",
    "matches",
    "private_paths",
    "read_again",
    "read_definition",
    "read_origin",
    "read_regular",
    "redact_text",
    "reference_markdown",
    "reopen_log",
    "set_log_level",
    "text_of",
    "tracing",
    "with_absolute_paths",
    "write_default",
]
