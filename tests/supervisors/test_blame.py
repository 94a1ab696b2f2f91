"""Of a crash, the line that its reader has written."""

from __future__ import annotations

import json
from types import ModuleType

from deployd.supervisors.blame import own_frame


def application(name: str, text: str) -> ModuleType:
    module = ModuleType(name)
    exec(compile(text, f"/srv/{name}.py", "exec"), module.__dict__)
    return module


def raised(function: object, *arguments: object) -> Exception:
    assert callable(function)
    try:
        function(*arguments)
    except Exception as error:  # noqa: BLE001
        return error
    raise AssertionError("it did not raise")


def without_ours(error: Exception) -> Exception:
    """Leave out the frame of this file, as if the pod itself had called."""
    return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)


def test_the_innermost_line_of_the_application_is_told_and_not_that_of_what_it_calls() -> None:
    shop = application(
        "shop", "import json\ndef outer(): inner()\ndef inner():\n    json.loads('{')\n"
    )
    error = without_ours(raised(shop.outer))
    assert isinstance(error, json.JSONDecodeError)
    assert own_frame(error) == "/srv/shop.py:4 in inner"


def test_where_no_line_is_the_applications_none_is_told() -> None:
    error = without_ours(raised(json.loads, "{"))
    assert own_frame(error) is None
    assert own_frame(None) is None
    assert own_frame(ValueError("never raised")) is None
