"""Of a crash, the line that its reader has written."""

from __future__ import annotations

import json
from types import ModuleType

from deployd.supervisors.blame import own_frame


def application(name: str, text: str, folder: str = "/srv", **there: object) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(there)
    exec(compile(text, f"{folder}/{name}.py", "exec"), module.__dict__)
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


SITE = "/opt/venv/lib/python3.11/site-packages"


def test_of_several_files_of_the_application_it_is_the_innermost() -> None:
    prices = application("prices", "def price():\n    return 1 / 0\n")
    shop = application("shop", "def sell(): return prices.price()\n", prices=prices)
    framework = application("framework", "def run(): return shop.sell()\n", SITE, shop=shop)
    assert own_frame(without_ours(raised(framework.run))) == "/srv/prices.py:2 in price"


def test_an_application_that_is_installed_is_what_was_called_first() -> None:
    database = application("database", "def ask():\n    return 1 / 0\n", SITE)
    shop = application("shop", "def sell(): return database.ask()\n", SITE, database=database)
    assert own_frame(without_ours(raised(shop.sell))) == f"{SITE}/shop.py:1 in sell"


def test_of_a_group_it_is_the_line_of_what_was_raised_and_not_that_of_its_nursery() -> None:
    shop = application("shop", "def sell():\n    return 1 / 0\n")
    inner = without_ours(raised(shop.sell))
    library = without_ours(raised(json.loads, "{"))
    group = ExceptionGroup("", [library, ExceptionGroup("", [inner])])
    assert own_frame(group) == "/srv/shop.py:2 in sell"


def test_where_no_line_is_the_applications_none_is_told() -> None:
    error = without_ours(raised(json.loads, "{"))
    assert own_frame(error) is None
    assert own_frame(None) is None
    assert own_frame(ValueError("never raised")) is None
