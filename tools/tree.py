"""`deployd tree`: the live supervision tree of a running pod."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs
import click
from rich.text import Text
from rich.tree import Tree

from .common import Address, Asked, pod_options, printable, screen, structured

PATH: Final = "/_dashboard/api/actors"
STYLES: Final = {"running": "green", "starting": "cyan", "stopping": "cyan", "stopped": "red"}


@attrs.frozen
class MailboxLevel:
    """A mailbox, as far as it is drawn."""

    waiting: int = 0
    high_water: int = 0
    max_messages: int = 0


@attrs.frozen
class Figures:
    """An actor's statistics, as far as they are drawn."""

    mailbox: MailboxLevel | None = None
    handler: str | None = None
    handler_seconds: float = 0.0


@attrs.frozen
class Detail:
    """What only some children say."""

    last_exit: str | None = None
    state: str | None = None
    endpoint: str | None = None
    reason: str | None = None


@attrs.frozen
class Branch:
    """One child in the answer of a pod; what a newer pod adds is left out."""

    path: str
    kind: str = ""
    status: str = ""
    incarnation: int = 0
    restarts: int = 0
    statistics: Figures | None = None
    children: tuple[Branch, ...] = ()
    detail: Detail = Detail()


@click.command()
@pod_options
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True,
              help="Children drawn of each supervisor; restarted ones come first.")  # fmt: skip
def tree(
    url: str, key: str | None, limit: int, as_json: bool, data: str | None, file: Path
) -> None:
    """Draw the live supervision tree of a pod: who runs, who was restarted, what waits."""
    asked = Asked(PATH, url, key, data, file)
    if as_json:
        asked.print_json()
        return
    screen().print(draw(read_tree(asked.answer, asked.address), limit))


def read_tree(answer: object, address: Address) -> Branch:
    """Structure what a pod answered. Raises `NotAPod`."""
    return structured(answer, Branch, address, "tree")


def draw(branch: Branch, limit: int, above: str = "") -> Tree:
    """Draw a child and what hangs below it, at most `limit` children each.

    `above` is the path that its name leaves out.
    """
    drawn = Tree(_label(branch, above), guide_style="dim")
    shown = most_telling(branch.children, limit)
    for child in shown:
        drawn.children.append(draw(child, limit, f"{branch.path}/"))
    if len(shown) < len(branch.children):
        drawn.add(Text(f"… and {len(branch.children) - len(shown)} more (--limit)", "dim"))
    return drawn


def most_telling(children: Sequence[Branch], limit: int) -> list[Branch]:
    """Choose the children to draw, in their order: troubled ones before those that just run."""
    by_trouble = sorted(
        range(len(children)),
        key=lambda i: (children[i].status == "running", -children[i].restarts, i),
    )
    return [children[i] for i in sorted(by_trouble[:limit])]


def _label(branch: Branch, above: str) -> Text:
    label = Text(printable(branch.path.removeprefix(above)), "bold")
    label.append(f"  {printable(branch.kind)}", "dim")
    label.append(f"  {printable(branch.status)}", STYLES.get(branch.status, "yellow"))
    for text, style in _remarks(branch):
        label.append(f"  {printable(text)}", style)
    return label


def _remarks(branch: Branch) -> Iterator[tuple[str, str]]:
    if branch.restarts:
        times = "once" if branch.restarts == 1 else f"{branch.restarts} times"
        yield f"restarted {times} (#{branch.incarnation})", "yellow"
    figures = branch.statistics or Figures()
    if (level := figures.mailbox) is not None:
        most = f"most {level.high_water} of {level.max_messages}"
        yield f"mailbox {level.waiting} ({most})", "bold" if level.waiting else "dim"
    if figures.handler:
        yield f"in {figures.handler} for {figures.handler_seconds:.1f} s", "cyan"
    if (detail := branch.detail).state is not None:
        style = "green" if detail.state == "closed" else "red"
        yield f"breaker {detail.state} ({detail.endpoint})", style
        if detail.reason:
            yield detail.reason, style
    elif branch.detail.last_exit:
        yield f"last exit: {branch.detail.last_exit}", "red"
