"""What pods ask and tell each other of places that are kept."""

from __future__ import annotations

import orjson
import pytest

from deployd.actors.rooms.place_words import PlaceAsked, PlaceGiven, read_place_words
from deployd.transport import JSON, Failed, Problem, Receipted, Scope


@pytest.mark.parametrize(
    "words",
    [
        PlaceAsked("pod.word", "ann"),
        PlaceAsked("pod.word", None),
        PlaceGiven("pod.word"),
        PlaceGiven(
            "pod.word",
            "client-1",
            {"points": 3},
            1.5,
            7,
            [
                Receipted(Scope.LOCAL, "e-1", 5.0, 3, "game-1"),
                Failed(Problem("refused", "No.", "game-1"), 5.0, 4),
            ],
        ),
    ],
    ids=lambda words: type(words).__name__,
)
def test_what_is_said_is_read(words: PlaceAsked | PlaceGiven) -> None:
    assert read_place_words(orjson.loads(words.encode())) == words


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        {},
        {"asked": 1},
        {"asked": ""},
        {"asked": "x" * 1025},
        {"asked": "word", "user": 1},
        {"given": 1},
        {"given": "word", "member": "m", "away": "1", "missed": 1, "answers": []},
        {"given": "word", "member": "m", "away": 1, "missed": -1, "answers": []},
        {"given": "word", "member": "m", "away": 1, "missed": 1.5, "answers": []},
        {"given": "word", "member": "m", "away": 1, "missed": 1, "answers": {}},
    ],
    ids=str,
)
def test_what_pods_do_not_say_is_nothing(told: JSON) -> None:
    assert read_place_words(told) is None


def test_what_is_no_answer_is_left_out() -> None:
    told: JSON = {"given": "w", "member": "m", "away": 1, "missed": 1, "answers": [1, "{}", "no"]}
    read = read_place_words(told)
    assert isinstance(read, PlaceGiven)
    assert read.answers == []
