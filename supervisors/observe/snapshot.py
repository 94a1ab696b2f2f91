"""What a pod is doing at this moment, for its log: who lives, which tasks wait where, the links.

It is for the hour in which nobody can be asked any more but the pod itself, so it is bounded: of
ten thousand clients a few lines are told, and how many more there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from heapq import nlargest
from types import FrameType
from typing import Final

import trio

from ...actors.runtime import run_by
from ...transport import JSON
from ..description import Node, Status
from .watched import Watched

__all__ = ["snapshot_of"]

MOST_CHILDREN: Final = 20
"""Children of one supervisor that are told, those in trouble first."""
MOST_STACKS: Final = 50
"""Stacks of tasks that are told apart; those that most tasks share come first."""
MOST_FRAMES: Final = 30
"""Of a stack, the innermost."""
MOST_NAMES: Final = 3


def snapshot_of(pod: Watched) -> Mapping[str, JSON]:
    """Return the tree, a line an actor; the stacks of all tasks, alike ones as one; the links."""
    return {
        "tree": [*_lines(pod.root().describe(), 0)],
        "tasks": [*_tasks()],
        "links": [dict(link) for link in pod.links()],
    }


# The tree ------------------------------------------------------------------------------------


def _lines(node: Node, depth: int) -> Iterator[str]:
    yield "  " * depth + _line(node)
    telling = sorted(node.children, key=_calm)[:MOST_CHILDREN]
    for child in telling:
        yield from _lines(child, depth + 1)
    if len(telling) < len(node.children):
        yield "  " * (depth + 1) + f"and {len(node.children) - len(telling)} more"


def _calm(node: Node) -> tuple[bool, int]:
    """Sort those in trouble first."""
    figures = node.statistics
    at_work = figures is not None and (figures.handler is not None or figures.mailbox.waiting > 0)
    return node.status is Status.RUNNING and not at_work, -node.restarts


def _line(node: Node) -> str:
    said = [node.path, node.kind, node.status.value]
    if node.restarts:
        said.append(f"restarted {node.restarts} times")
    figures = node.statistics
    if figures is not None:
        said.append(f"waiting {figures.mailbox.waiting}")
        if figures.handler is not None:
            said.append(f"in {figures.handler} for {figures.handler_seconds:.3f} s")
    if "last_exit" in node.detail:
        said.append(f"last exit: {node.detail['last_exit']}")
    return ", ".join(said)


# Tasks ---------------------------------------------------------------------------------------


def _tasks() -> Iterator[JSON]:
    """Yield where tasks wait, how many do there, and some of them by name."""
    root = trio.lowlevel.current_root_task()
    places: dict[tuple[str, ...], list[str]] = {}
    waiting = [] if root is None else [root]
    while waiting:
        task = waiting.pop()
        places.setdefault(_place(task), []).append(task.name)
        waiting += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    crowded = nlargest(MOST_STACKS, places.items(), key=lambda place: len(place[1]))
    for frames, names in crowded:
        yield {"tasks": len(names), "names": [*names[:MOST_NAMES]], "stack": [*frames]}


def _place(task: trio.lowlevel.Task) -> tuple[str, ...]:
    """Return where a task waits, without how trio itself does that."""
    told: deque[str] = deque(maxlen=MOST_FRAMES)
    for frame, line in _frames(task.iter_await_frames()):
        code = frame.f_code
        if not str(frame.f_globals.get("__name__", "")).startswith("trio._core."):
            told.append(f"{code.co_filename}:{line} in {code.co_qualname}")
    return tuple(told)


def _frames(found: Iterator[tuple[FrameType, int]]) -> Iterator[tuple[FrameType, int]]:
    """Yield frames, and those of a room's hook, which trio does not see (`on_suspend`)."""
    for frame, line in found:
        yield frame, line
        hook = run_by(frame)
        if hook is not None:
            yield from _frames(_awaited(hook))


def _awaited(coroutine: object) -> Iterator[tuple[FrameType, int]]:
    while (
        frame := getattr(coroutine, "cr_frame", getattr(coroutine, "gi_frame", None))
    ) is not None:
        yield frame, frame.f_lineno
        coroutine = getattr(coroutine, "cr_await", getattr(coroutine, "gi_yieldfrom", None))
