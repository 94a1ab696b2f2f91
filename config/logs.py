"""Logging: structlog for this project's lines, and the same form for those of libraries."""

import json
import re
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from logging import (
    DEBUG,
    NOTSET,
    Logger,
    LogRecord,
    StreamHandler,
    getLevelName,
    getLevelNamesMapping,
    getLogger,
)
from pathlib import Path
from typing import Final, TextIO, cast

import orjson
import structlog
from structlog.typing import (
    EventDict,
    ExcInfo,
    FilteringBoundLogger,
    Processor,
    ProcessorReturnValue,
    WrappedLogger,
)

from .errors import ConfigError, Misconfiguration
from .files import never_waiting
from .redact import redact
from .schema import Logging

_COMPONENT = "realtime"
_FIRST = ("timestamp", "level", "component", "pod", "pod_name", "actor", "event")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_tracing = False


class _Handler(StreamHandler[TextIO]):
    """The root logger's handler that came from here, to be told from those of others.

    `file` is what its stream has open, None for a stream that somebody else gave; `human` whether
    its lines are for people.
    """

    def __init__(self, stream: TextIO, file: Path | None, *, human: bool) -> None:
        super().__init__(stream)
        self.file = file
        self.human = human

    def emit(self, record: LogRecord) -> None:
        """Write a line, or lose it: whoever says something must not fail of that.

        The standard library's own raises where the stream has been closed, by code of anybody's.
        """
        with suppress(Exception):
            super().emit(record)

    def handleError(self, record: LogRecord) -> None:  # noqa: N802 - the library's
        """Lose a line in silence: the library would print a traceback, past the log."""

    def reopen(self, file: Path) -> None:
        """Write to a file that is opened now. Raises `OSError`, and nothing has changed."""
        fresh = _open(file)
        self.acquire()
        old, self.stream = self.stream, fresh
        self.release()
        with suppress(OSError):  # what the disk has no place for is lost already
            old.close()


def configure_logging(logging: Logging, *, tty: bool, stream: TextIO) -> None:
    """Send all lines of the process to `logging.file`, or else to `stream`.

    `tty` tells whether a terminal reads the stream. Called again it replaces what it did before.
    Handlers that others gave the root logger stay. Raises `ConfigError` for a file that cannot be
    opened.
    """
    file = Path(logging.file) if logging.file else None
    if file is not None:
        tty = False
        try:
            stream = _open(file)
        except OSError as error:
            sentence = f"logging.file cannot be opened: {error.strerror}: {file}"
            raise ConfigError(Misconfiguration(sentence, ("logging.file",))) from error
    human = logging.format == "human" or (logging.format == "auto" and tty)
    _attach(_Handler(stream, file, human=human), _human(colors=tty) if human else [_json])
    set_log_level(logging.level, trace=logging.realtime_debug)


def set_log_level(name: str, *, trace: bool) -> None:
    """Show lines of this level and above from now on; with `trace` each message's way too."""
    global _tracing
    level = getLevelNamesMapping()[name]
    _tracing = trace or level <= DEBUG
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_common(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(DEBUG if _tracing else level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    getLogger().setLevel(level)
    # Tracing shows this component's debug lines, and not those of everything else.
    getLogger(_name(_COMPONENT)).setLevel(DEBUG if _tracing else NOTSET)


def lead_into_logging() -> None:
    """Hand this project's lines to `logging`, as any library does.

    Nobody's handlers and levels change, nor what structlog does with the lines of others. Where
    somebody has configured structlog, or called `configure_logging`, nothing changes at all.
    """
    if structlog.is_configured():
        return
    defaults = structlog.get_config()
    others: Sequence[Processor] = defaults["processors"]

    def make(*names: str) -> WrappedLogger:
        ours = bool(names) and names[0].startswith(_name(""))
        return getLogger(names[0]) if ours else defaults["logger_factory"](*names)

    def process(logger: WrappedLogger, method: str, event: EventDict) -> ProcessorReturnValue:
        result: ProcessorReturnValue = event
        for processor in _AS_TEXT if isinstance(logger, Logger) else others:
            result = processor(logger, method, cast("EventDict", result))
        return result

    structlog.configure(processors=[process], logger_factory=make)


def logs_for_people() -> bool:
    """Tell whether lines are for people, and not JSON."""
    return any(each.human for each in getLogger().handlers if isinstance(each, _Handler))


def log_level() -> str:
    """Return the least level that is shown."""
    return str(getLevelName(getLogger().level))


def reopen_log() -> Path | None:
    """Open `logging.file` anew, which somebody may have moved away; return it, None for none.

    Raises `OSError`, and goes on with the file that was open, where that is impossible.
    """
    for handler in getLogger().handlers:
        if isinstance(handler, _Handler) and handler.file is not None:
            handler.reopen(handler.file)
            return handler.file
    return None


def _open(file: Path) -> TextIO:
    return open(
        file,
        "a",
        encoding="utf-8",
        errors="backslashreplace",
        buffering=1,
        opener=never_waiting,
    )


def get_logger(component: str = _COMPONENT) -> FilteringBoundLogger:
    """Give a logger whose lines carry `component`."""
    logger = structlog.get_logger(_name(component), component=component)
    return cast(FilteringBoundLogger, logger)


def bind_log_context(**fields: str) -> None:
    """Let the lines of this task, and of those it starts from now on, carry these fields too.

    A line's own field of the same name wins.
    """
    structlog.contextvars.bind_contextvars(**fields)


def tracing() -> bool:
    """Tell whether each message's way is to be logged (at debug); cheap enough to ask always."""
    return _tracing


def _name(component: str) -> str:
    return f"deployd.{component}"


def _common() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_traceback),
        redact,
    ]


def _traceback(exc_info: ExcInfo) -> str:
    """Return a traceback as Python prints it; telling of a failure must never be one."""
    try:
        lines = traceback.format_exception(*exc_info)
    except BaseException as error:  # noqa: BLE001 - the exception is anybody's, and so is its class
        lines = [f"{exc_info[0].__name__}, whose traceback raises {type(error).__name__}"]
    return "".join(lines).rstrip("\n")


def _attach(handler: _Handler, renderer: list[Processor]) -> None:
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_name_library, *_common()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = getLogger()
    for old in [one for one in root.handlers if isinstance(one, _Handler)]:
        root.removeHandler(old)
        if old.file is not None:
            with suppress(OSError):  # as in `reopen`
                old.stream.close()
    root.addHandler(handler)


def _name_library(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["component"] = event["_record"].name
    return event


def _human(*, colors: bool) -> list[Processor]:
    # Tracebacks are text by now, without the locals that structlog's own would show; older
    # versions of it warn of that unless they are told that plain ones are wanted.
    plain = structlog.dev.plain_traceback
    return [_printable, structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]


def _printable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape what could move a terminal's cursor or forge a line; tracebacks keep their lines."""
    return {key: _escaped(key, value) for key, value in event.items()}


def _escaped(key: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    kept = "\n" if key in ("exception", "stack") else ""
    return _CONTROL.sub(
        lambda found: found[0] if found[0] == kept else ascii(found[0])[1:-1], value
    )


_AS_TEXT: Final[Sequence[Processor]] = (
    structlog.stdlib.filter_by_level,
    structlog.contextvars.merge_contextvars,
    structlog.processors.ExceptionRenderer(_traceback),
    redact,
    _printable,
    structlog.dev.ConsoleRenderer(
        colors=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
    ),
)
"""What makes a text of a line; when it was said, and how loud, `logging` knows."""


def _json(_: WrappedLogger, __: str, event: Mapping[str, object]) -> str:
    """Write one line of JSON, without spaces so that it can be searched for."""
    ordered = {key: event[key] for key in _FIRST if key in event} | dict(event)
    try:
        return orjson.dumps(ordered, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # lone surrogates, and numbers above 64 bits
        return json.dumps(ordered, default=repr, skipkeys=True, separators=(",", ":"))
