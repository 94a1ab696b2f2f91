"""What can be set: settings, secrets and logging. Nothing here knows who uses it."""

from .audit import Audit, Audited
from .brokers import (
    BrokerSettings,
    FailurePolicy,
    NatsSettings,
    RabbitMQSettings,
    ReadyPolicy,
    RedisSettings,
)
from .classes import ClassNotFound, load_class
from .definition import (
    BUILT_IN,
    Definition,
    Permissions,
    Property,
    PropertyType,
    Right,
    check_collection_name,
    read_definition,
)
from .errors import ConfigError, ConfigurationError, SecretsError
from .files import read_regular
from .json_schema import json_schema
from .limits import LimitSettings
from .load import Loaded, load, write_default
from .logs import bind_log_context, configure_logging, get_logger, tracing
from .operations import MetricsSettings, StressSettings
from .origins import Origin, ascii_host, default_port, read_origin
from .paths import private_paths, with_absolute_paths
from .patterns import PatternMap
from .redact import redact_text
from .report import Row, explain, reference_markdown
from .sampling import LogLimiter, LogSampler
from .schema import (
    AccessSettings,
    AuthSettings,
    CollectionSettings,
    Config,
    DrainSettings,
    LoggingSettings,
    NetworkSettings,
    OriginSettings,
    PerformanceSettings,
    Rule,
    ServerSettings,
    Speaker,
    StoreSettings,
    TlsSettings,
    Who,
)
from .secrets import Secrets, load_secrets

__all__ = [
    "BUILT_IN",
    "AccessSettings",
    "Audit",
    "Audited",
    "AuthSettings",
    "BrokerSettings",
    "ClassNotFound",
    "CollectionSettings",
    "Config",
    "ConfigError",
    "ConfigurationError",
    "Definition",
    "DrainSettings",
    "FailurePolicy",
    "LimitSettings",
    "Loaded",
    "LogLimiter",
    "LogSampler",
    "LoggingSettings",
    "MetricsSettings",
    "NatsSettings",
    "NetworkSettings",
    "Origin",
    "OriginSettings",
    "PatternMap",
    "PerformanceSettings",
    "Permissions",
    "Property",
    "PropertyType",
    "RabbitMQSettings",
    "ReadyPolicy",
    "RedisSettings",
    "Right",
    "Row",
    "Rule",
    "Secrets",
    "SecretsError",
    "ServerSettings",
    "Speaker",
    "StoreSettings",
    "StressSettings",
    "TlsSettings",
    "Who",
    "ascii_host",
    "bind_log_context",
    "check_collection_name",
    "configure_logging",
    "default_port",
    "explain",
    "get_logger",
    "json_schema",
    "load",
    "load_class",
    "load_secrets",
    "private_paths",
    "read_definition",
    "read_origin",
    "read_regular",
    "redact_text",
    "reference_markdown",
    "tracing",
    "with_absolute_paths",
    "write_default",
]
