"""Errors that nobody caught are lines of the log, and warnings too."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import warnings

import pytest
import structlog

from deployd.tools.uncaught import uncaught_errors_told
from support.logs import logged


def run_thread(error: BaseException) -> None:
    def fail() -> None:
        raise error

    thread = threading.Thread(target=fail, name="of-a-room")
    thread.start()
    thread.join()


class Fails:
    def __del__(self) -> None:
        raise RuntimeError("in __del__")

    def __repr__(self) -> str:
        raise RuntimeError("in repr")


def test_an_error_of_a_thread_is_told_with_its_name_and_that_it_leaves_is_not() -> None:
    with uncaught_errors_told(), structlog.testing.capture_logs() as lines:
        run_thread(ValueError("lost"))
        run_thread(SystemExit(1))
    (line,) = lines
    assert (line["event"], line["where"]) == ("a thread has ended by an error", "of-a-room")
    assert str(line["exc_info"][1]) == "lost"


def test_what_fails_while_it_is_let_go_is_told() -> None:
    with uncaught_errors_told(), structlog.testing.capture_logs() as lines:
        held: object = Fails()
        del held
        gc.collect()
    (line,) = lines
    assert line["where"] == "Fails.__del__"
    assert str(line["exc_info"][1]) == "in __del__"


def test_warnings_are_lines_too() -> None:
    with logged() as log, uncaught_errors_told(), warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)  # pytest's filter has put its own in the place
        warnings.warn("nobody awaited it", RuntimeWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    (line,) = [one for one in log.lines() if "nobody awaited it" in str(one)]
    assert line["level"] == "warning"


def test_afterwards_they_are_pythons_again() -> None:
    before = threading.excepthook, sys.unraisablehook, warnings.showwarning
    with uncaught_errors_told():
        assert threading.excepthook is not before[0]
    assert (threading.excepthook, sys.unraisablehook, warnings.showwarning) == before


@pytest.fixture(autouse=True)
def capture_is_off() -> None:
    logging.captureWarnings(capture=False)
