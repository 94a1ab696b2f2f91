"""Reading a settings file: JSON or YAML, the wrapper, and `${NAME}` placeholders."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson
import yaml

from .catalogue import ENTRIES, Entry
from .errors import ConfigError, Misconfiguration
from .files import read_regular
from .text_values import from_text

WRAPPER = "realtime"
PLACEHOLDER = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"
_PLACEHOLDER = re.compile(r"(?P<dollar>\$?)\$\{(?P<name>[^}:]*)(:-(?P<default>[^}]*))?[^}]*\}")
_NAMES = re.compile(r"\b(?:tag|alias|anchor)\b")
_QUOTE_IT = "a text that begins with '!', '*' or '&' needs quotes"
_MOST_BYTES = 2**22
_MAX_DEPTH = 20  # a YAML alias can hold itself


def read_document(path: Path) -> object:
    """Parse a file by its suffix and take off the `realtime:` wrapper.

    An empty YAML file is an empty object. Raises `ConfigError`.
    """
    parse = {".json": _parse_json, ".yaml": _parse_yaml, ".yml": _parse_yaml}.get(path.suffix)
    if parse is None:
        raise _refusal(path, f"files of settings end in .json, .yaml or .yml, not {path.suffix!r}")
    try:
        document = parse(read_regular(path, _MOST_BYTES).decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise _refusal(path, "there is no such file") from error
    except OSError as error:
        raise _refusal(path, f"it cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _refusal(path, f"it is not {path.suffix[1:].upper()}: {error}") from error
    return _unwrap(path, document)


def fill(
    value: object,
    environ: Mapping[str, str],
    found: Callable[[Misconfiguration], None],
    path: str = "",
) -> object:
    """Fill `${NAME}` and `${NAME:-default}` in all texts; `$${` stands for `${` itself.

    A text that is nothing but one placeholder takes the type of its setting. What cannot be
    filled is told to `found` and left as it is.
    """
    if path.count(".") + path.count("[") > _MAX_DEPTH:
        found(Misconfiguration(f"{path[:60]}… lies too deep", (path,)))
    elif isinstance(value, dict):
        prefix = f"{path}." if path else ""
        return {key: fill(inner, environ, found, f"{prefix}{key}") for key, inner in value.items()}
    elif isinstance(value, list):
        return [fill(inner, environ, found, f"{path}[{i}]") for i, inner in enumerate(value)]
    elif isinstance(value, str) and "${" in value:
        return _fill_text(value, environ, found, path)
    return value


def _fill_text(
    text: str, environ: Mapping[str, str], found: Callable[[Misconfiguration], None], path: str
) -> object:
    def replace(match: re.Match[str]) -> str:
        whole, name = match[0], match["name"]
        if match["dollar"]:
            return whole[1:]
        if re.fullmatch(PLACEHOLDER, whole) is None:
            remedy = "write ${NAME}, ${NAME:-default}, or $${ for the characters themselves"
            found(
                Misconfiguration(
                    f"{path} has a placeholder that names no variable; {remedy}", (path,)
                )
            )
            return whole
        # As in a shell, the default also stands in for an empty variable.
        value = environ.get(name) or match["default"]
        if value is None and name not in environ:
            remedy = f"set it or write ${{{name}:-default}}"
            found(
                Misconfiguration(
                    f"{path} needs the variable {name}, which is not set; {remedy}", (path,)
                )
            )
            return whole
        return value or ""

    filled = _PLACEHOLDER.sub(replace, text)
    entry: Entry | None = ENTRIES.get(path)
    alone = re.fullmatch(PLACEHOLDER, text) is not None and filled != text
    return from_text(entry, filled) if alone and entry is not None else filled


def _unwrap(path: Path, document: object) -> object:
    if not isinstance(document, dict) or WRAPPER not in document:
        return document
    beside = ", ".join(sorted(str(key) for key in document if key != WRAPPER))
    if beside:
        raise _refusal(path, f"{beside} stands beside {WRAPPER}: put it inside, or do without it")
    return {} if document[WRAPPER] is None else document[WRAPPER]


def _parse_json(text: str) -> object:
    return orjson.loads(text)


def _parse_yaml(text: str) -> object:
    try:
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        # Without its excerpt of the file, which may show a password.
        mark = error.problem_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        named = _NAMES.search(error.problem or "")  # then that is quoted, and may be a password
        raise ValueError(f"{_QUOTE_IT if named else error.problem}{place}") from None
    except (ValueError, KeyError, AttributeError):  # what becomes of `!!int many`
        raise ValueError(_QUOTE_IT) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError("it has characters or a nesting that YAML does not allow") from error
    return {} if document is None else document


def _refusal(path: Path, sentence: str) -> ConfigError:
    return ConfigError(Misconfiguration(sentence, origin=f"file {path}"))
