"""Everything that can be set: one frozen class a section, `Config` at the root.

Attributes are snake_case, the keys in files camelCase (`ping_interval`, `pingInterval`).
`Config()` is a pod with all defaults.
"""

# ruff: noqa: RUF009 - `setting` declares a field, as `attrs.field` does

from collections.abc import Iterator, Mapping
from enum import StrEnum

import attrs

from . import formats
from .brokers import Broker
from .errors import ConfigError, Misconfiguration
from .fields import setting
from .limits import KIB, MIB, Limits
from .operations import Chaos, Metrics, Stress

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Who(StrEnum):
    """Who may do a thing."""

    ANYONE = "anyone"
    AUTHENTICATED = "authenticated"
    ROOT = "root"
    NOBODY = "nobody"


class Speaker(StrEnum):
    """Who may emit into a room: those who have joined it, or others too."""

    MEMBERS = "members"
    ANYONE = "anyone"
    AUTHENTICATED = "authenticated"
    ROOT = "root"
    NOBODY = "nobody"


@attrs.frozen
class Performance:
    """Work traded for speed."""

    worker_pool_size: int = setting(
        8, unit="threads", ge=1, help="Threads for event scripts, at each depth of their calls."
    )
    batch_message_processing: bool = setting(
        True, help="Rooms join the messages that wait into one write a member."
    )
    compression_enabled: bool = setting(
        True, help="Compress large messages for clients that take it (RFC 7692)."
    )
    keep_alive_optimization: bool = setting(
        True, help="Spare clients that were heard lately the next ping."
    )


@attrs.frozen
class Network:
    """Sockets."""

    tcp_no_delay: bool = setting(True, help="Send small messages at once (TCP_NODELAY).")
    read_buffer_size: int = setting(
        4 * KIB, unit="bytes", ge=64, help="Read from a socket at a time."
    )
    write_buffer_size: int = setting(
        64 * KIB, unit="bytes", ge=64, help="A room writes when what it joined holds so many."
    )
    compression_threshold: int = setting(
        KIB, unit="bytes", ge=0, help="Smaller messages are not compressed."
    )


@attrs.frozen
class Server:
    """Where the pod listens and keeps its things."""

    name: str = setting(
        "",
        check=formats.pod_name,
        help="What other pods and operators know this one by, the same at each start; what it "
        "could not say before it ended is said by the next start of that name. While another pod "
        "has it, this one is called by it and a number. Empty: its host and a few letters, drawn "
        "at the first start and kept in the data folder.",
    )
    host: str = setting(
        "127.0.0.1",
        help='Address to listen on; in a container `"0.0.0.0"` (DEPLOYD_SERVER__HOST).',
    )
    port: int = setting(
        2403, ge=0, le=65535, help="Port for HTTP and WebSocket; 0 is any free one."
    )
    share_port: bool = setting(
        False,
        help="Let other processes of the same user listen on the port too (SO_REUSEPORT): "
        "`deployd serve --pods` sets it for the pods that it starts.",
    )
    data: str = setting("data", help="Folder of secrets and documents, made when missing.")
    public: str = setting(
        "public", help="Folder of files to serve as they are; its index.html is the page at `/`."
    )
    trusted_proxies: tuple[str, ...] = setting(
        (),
        check=formats.networks,
        help='Addresses or networks whose X-Forwarded-For is believed, such as `"10.0.0.0/8"`.',
    )
    hosts: tuple[str, ...] = setting(
        (),
        check=formats.hosts,
        help='Names that the pod goes by, such as `"pod.example"`; requests for others, but those '
        "of this machine, are answered 421. None: any, or this machine's alone where only it "
        "reaches the pod.",
    )
    api_enabled: bool = setting(True, help="Serve collections over HTTP (also API_ENABLED).")


@attrs.frozen
class Collections:
    """Collections of documents: where they are defined, and what their requests may take."""

    folder: str = setting("resources", help="Folder with a folder for each collection.")
    script_timeout: float = setting(
        5.0, unit="seconds", gt=0, help="How long one event script may run."
    )
    write_timeout: float = setting(
        15.0, unit="seconds", gt=0, help="How long a write may wait for those before it, and run."
    )
    max_depth: int = setting(
        8, unit="calls", ge=1, help="Calls that scripts may make of each other's collections."
    )
    scan_limit: int = setting(
        10_000,
        unit="documents",
        ge=1,
        help="Documents that one list or count may show to a `get` script, which decides what of "
        "them is there; a query that needs more is refused.",
    )
    scan_bytes: int = setting(
        32 * MIB, unit="bytes", ge=1024, help="How much those documents may be."
    )
    replay_after: float = setting(
        10.0,
        unit="seconds",
        ge=0,
        help="Time after a start for clients to come back before changes that were committed "
        "and not told are told.",
    )


@attrs.frozen
class Store:
    """The database that documents are kept in."""

    url: str = setting(
        "",
        secret=True,
        check=formats.database,
        help="URL of a PostgreSQL database (also DATABASE_URL); empty is SQLite in server.data.",
    )
    pool_size: int = setting(
        4, unit="connections", ge=1, le=64, help="Connections, and threads that wait for them."
    )
    busy_timeout: float = setting(
        5.0, unit="seconds", gt=0, help="How long to wait for a locked database; then 503."
    )
    statement_timeout: float = setting(
        10.0, unit="seconds", gt=0, help="How long one query may take; then 503."
    )
    durability: str = setting(
        "full",
        choices=("full", "normal"),
        help="Whether SQLite's commits survive a loss of power (full) or only of the process.",
    )
    ready: str = setting(
        "require_store",
        choices=("require_store", "ignore_store"),
        help="Whether /health/ready is 503 as long as documents cannot be written.",
    )
    max_limit: int = setting(
        1000, unit="documents", ge=1, help="Documents in one answer; `$limit` cannot exceed it."
    )
    max_answer_bytes: int = setting(
        8 * MIB, unit="bytes", ge=1024, help="Size of one answer; what does not fit is left out."
    )


@attrs.frozen
class Auth:
    """Tokens (JWT, RFC 7519), and what becomes of clients without a valid one."""

    algorithms: tuple[str, ...] = setting(
        ("HS256",), check=formats.algorithms, help="What tokens may be signed with."
    )
    issuer: str = setting("go-deployd", help="Written into the tokens that this pod signs.")
    require_issuer: bool = setting(False, help="Refuse tokens of any other issuer.")
    token_ttl: float = setting(
        86_400.0, unit="seconds", gt=0, help="How long a token that this pod signs is valid."
    )
    required: bool = setting(False, help="Close clients that do not authenticate in `timeout`.")
    timeout: float = setting(
        10.0, unit="seconds", gt=0, help="Deadline for authenticating where it is required."
    )
    on_expiry: str = setting(
        "close",
        choices=("close", "downgrade"),
        help="Whether an expired token closes its connection or makes it anonymous.",
    )
    leeway: float = setting(
        5.0, unit="seconds", ge=0, help="Difference of clocks that is allowed for."
    )
    login_attempts: int = setting(
        10,
        unit="attempts",
        ge=1,
        help="Sign-ins that may fail for one address in `loginPeriod`, and as many wrong keys or "
        "tokens elsewhere; more are answered 429.",
    )
    login_period: float = setting(
        60.0, unit="seconds", gt=0, help="Time over which sign-ins and guesses are counted."
    )
    sign_ups: int = setting(
        1000,
        unit="users",
        ge=1,
        help="Users that one address may add in `signUpPeriod`, where `users` lets anyone; more "
        "are answered 429.",
    )
    sign_up_period: float = setting(
        3600.0, unit="seconds", gt=0, help="Time over which new users are counted."
    )
    max_hashing: int = setting(
        256,
        unit="passwords",
        ge=2,
        help="Passwords that are hashed or wait for it; two are at a time, the addresses in turns.",
    )


@attrs.frozen
class Rule:
    """Who may do what in the rooms of one pattern."""

    join: Who = setting(Who.ANYONE, choices=tuple(Who), help="Who may join.")
    emit: Speaker = setting(
        Speaker.MEMBERS,
        choices=tuple(Speaker),
        help="Who may emit: its members, or others too, but never who may not join.",
    )
    publish: Who = setting(
        Who.ROOT,
        choices=tuple(Who),
        help="Who may say something there over HTTP, in the pod's own voice.",
    )
    list: Who = setting(
        Who.ROOT,
        choices=tuple(Who),
        help="Who sees such rooms in the directory, if their class lists them.",
    )
    members: int = setting(
        0, unit="members", ge=0, help="Members that a room may have on one pod; 0 is no limit."
    )
    rate: float = setting(
        0.0,
        unit="messages/s",
        ge=0,
        help="What each member may say in the room; 0 is no limit but `messageRateLimit`.",
    )


@attrs.frozen
class Access:
    """Who may do what."""

    emit_to_all: Who = setting(
        Who.AUTHENTICATED, choices=tuple(Who), help="Who may emit to everyone.", live=True
    )
    rules: Mapping[str, Rule] = setting(
        {},
        check=formats.patterns,
        help='Rules by pattern of a room\'s name, such as `"admin-*"`: who may `join` (`anyone`) '
        "and `emit` (`members`, and never who may not join), who may `publish` over HTTP and see "
        "such rooms in the directory (`list`; both `root`), how many `members` one pod lets in, "
        "and at which `rate` each may speak (messages/s); 0 is no limit.",
        live=True,
    )


@attrs.frozen
class Origins:
    """Web pages that may connect (RFC 6454)."""

    allowed: tuple[str, ...] = setting(
        (), check=formats.origins, help="Exact origins; none is this pod's own host only."
    )
    allow_missing: bool = setting(
        True, help="Let in clients that name no origin: those that are not browsers."
    )


@attrs.frozen
class Tls:
    """Encryption by the pod itself."""

    cert_file: str = setting("", help="File of the certificate chain (PEM).")
    key_file: str = setting("", help="File of the private key (PEM).")


@attrs.frozen
class Drain:
    """How a pod that stops lets its clients go."""

    delay: float = setting(
        0.0,
        unit="seconds",
        ge=0,
        help="Time that a pod which is told to stop is not ready and still takes clients: "
        "load balancers need it to notice.",
    )
    window: float = setting(
        5.0, unit="seconds", ge=0, help="Time over which the closing of clients is spread."
    )
    deadline: float = setting(
        15.0, unit="seconds", ge=0, help="Time after which the pod stops whatever is left."
    )
    retry_after_min: float = setting(
        1.0, unit="seconds", ge=0, help="Shortest wait that a client is told to reconnect after."
    )
    retry_after_max: float = setting(
        5.0, unit="seconds", ge=0, help="Longest wait that a client is told to reconnect after."
    )


@attrs.frozen
class Logging:
    """What is logged, and how."""

    level: str = setting(
        "INFO", choices=LEVELS, help="Least level shown (also LOG_LEVEL).", live=True
    )
    realtime_debug: bool = setting(
        False, help="Trace each message's way by its id (also REALTIME_DEBUG).", live=True
    )
    format: str = setting(
        "auto",
        choices=("auto", "human", "json"),
        help="Lines for people or JSON; auto is by whether a terminal reads.",
    )
    file: str = setting(
        "",
        help="File that lines are added to, instead of stderr; SIGUSR1 opens it anew, for those "
        "who move it away.",
    )


@attrs.frozen
class Config:
    """All settings of a pod."""

    enabled: bool = setting(True, help="Accept WebSocket clients (also REALTIME_ENABLED).")
    message_ttl: float = setting(
        3600.0, unit="seconds", ge=0, help="How long a message may wait for a broker, or in one."
    )
    broker: Broker = attrs.field(factory=Broker)
    limits: Limits = attrs.field(factory=Limits)
    performance: Performance = attrs.field(factory=Performance)
    network: Network = attrs.field(factory=Network)
    server: Server = attrs.field(factory=Server)
    collections: Collections = attrs.field(factory=Collections)
    store: Store = attrs.field(factory=Store)
    auth: Auth = attrs.field(factory=Auth)
    access: Access = attrs.field(factory=Access)
    origins: Origins = attrs.field(factory=Origins)
    rooms: Mapping[str, str] = setting(
        {},
        check=formats.room_classes,
        help='Classes by pattern: `"chat-*": "app.rooms:Chat"`.',
    )
    tls: Tls = attrs.field(factory=Tls)
    drain: Drain = attrs.field(factory=Drain)
    logging: Logging = attrs.field(factory=Logging)
    metrics: Metrics = attrs.field(factory=Metrics)
    stress: Stress = attrs.field(factory=Stress)
    chaos: Chaos = attrs.field(factory=Chaos)

    def __attrs_post_init__(self) -> None:
        found = tuple(_conflicts(self))
        if found:
            raise ConfigError(*found)


def _conflicts(config: Config) -> Iterator[Misconfiguration]:
    """Find values that are possible alone and impossible together."""
    limits, drain, tls = config.limits, config.drain, config.tls
    if limits.pong_timeout >= limits.ping_interval:
        yield _order("limits.pongTimeout", "below", "limits.pingInterval")
    if drain.window > drain.deadline:
        yield _order("drain.window", "at most", "drain.deadline")
    if drain.retry_after_min > drain.retry_after_max:
        yield _order("drain.retryAfterMin", "at most", "drain.retryAfterMax")
    if bool(tls.cert_file) != bool(tls.key_file):
        missing, given = ("keyFile", "certFile") if tls.cert_file else ("certFile", "keyFile")
        sentence = f"tls.{missing} must be set too where tls.{given} is"
        yield Misconfiguration(sentence, ("tls.certFile", "tls.keyFile"))
    if config.broker.previous_secret and not config.broker.secret:
        sentence = "broker.secret must be set too where broker.previousSecret is"
        yield Misconfiguration(sentence, ("broker.secret", "broker.previousSecret"))


def _order(small: str, relation: str, large: str) -> Misconfiguration:
    return Misconfiguration(f"{small} must be {relation} {large}", (small, large))
