"""`deployd chaos inject`, `stop` and `status`: faults of a pod that runs, from inside."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import attrs
import click
from click.shell_completion import CompletionItem

from ...supervisors.chaos import KINDS
from ..common import Address, Asked, pod_options, printable, structured

__all__ = ["inject", "status", "stop"]

PATH: Final = "/_dashboard/api/chaos"


@attrs.frozen
class ToldFault:
    """A fault that is active, as a pod tells of it. `left` is in seconds."""

    id: int
    says: str
    left: float
    struck: int = 0


@attrs.frozen
class ToldFaults:
    """All that are."""

    faults: tuple[ToldFault, ...]


def _lines() -> str:
    """List the faults and what each takes, for the help."""
    rows = []
    for kind, sort in KINDS.items():
        words = [*["--path"] * sort.path, *["[--room]"] * sort.room]
        words += [f"[--{name} {number.default:g}]" for name, number in sort.numbers.items()]
        rows.append(f"  {kind.value:<16}{sort.about}\n  {'':<16}{' '.join(words)}")
    return "\b\n" + "\n".join(rows)


def _complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    kinds = {kind.value: sort.about for kind, sort in KINDS.items()}
    return [CompletionItem(k, help=a) for k, a in kinds.items() if k.startswith(incomplete)]


@click.command(
    help="Let a FAULT begin in a pod that runs with --chaos. It ends by itself.\n\n"
    f"{_lines()}\n\nPaths are those of 'deployd tree'; * stands for any characters.",
    short_help="Let a fault begin in a pod that runs with --chaos.",
)
@click.argument("fault", shell_complete=_complete)
@click.option("--seconds", type=float, help="How long it lasts; 10, and 600 at most.")
@click.option("--path", help="The actors that are meant, such as 'pod/rooms/chat-*'.")
@click.option("--room", help="The only room whose messages are meant.")
@click.option("--share", type=float, help="The share of messages or calls, from 0 to 1.")
@click.option("--delay", type=float, help="Seconds that each takes longer.")
@click.option("--times", type=int, help="How often each actor crashes.")
@click.option("--skew", type=float, help="Seconds that the clock is ahead, or behind.")
@pod_options
def inject(
    fault: str,
    url: str,
    key: str | None,
    as_json: bool,
    data: str | None,
    file: Path,
    **given: float | str | None,
) -> None:
    """Ask for it; what may be is the pod's to say."""
    wanted = {"fault": fault, **{name: it for name, it in given.items() if it is not None}}
    asked = Asked(PATH, url, key, data, file, method="POST", body=wanted)
    if as_json:
        asked.print_json()
        return
    begun = structured(asked.answer, ToldFault, asked.address, "fault")
    click.echo(f"{told(begun)}; 'deployd chaos stop {begun.id}' ends it before.")


@click.command()
@click.argument("number", required=False)
@pod_options
def stop(
    number: str | None, url: str, key: str | None, as_json: bool, data: str | None, file: Path
) -> None:
    """End the fault of that NUMBER in a pod, or all without one."""
    if number is not None and not re.fullmatch(r"[0-9]{1,9}", number):
        raise click.BadParameter("write the number of a fault, as 'deployd chaos status' lists it")
    path = PATH if number is None else f"{PATH}/{number}"
    asked = Asked(path, url, key, data, file, method="DELETE")
    if as_json:
        asked.print_json()
    elif number is not None:
        ended = structured(asked.answer, ToldFault, asked.address, "fault")
        click.echo(
            f"Fault {ended.id} ({printable(ended.says)}) is over; it struck {ended.struck}×."
        )
    else:
        click.echo(stopped(asked.answer, asked.address))


@click.command()
@pod_options
def status(url: str, key: str | None, as_json: bool, data: str | None, file: Path) -> None:
    """List the faults that are active in a pod."""
    asked = Asked(PATH, url, key, data, file)
    if as_json:
        asked.print_json()
        return
    there = structured(asked.answer, ToldFaults, asked.address, "faults")
    click.echo("\n".join(map(told, there.faults)) or "No fault is active.")


def told(fault: ToldFault) -> str:
    """Say in a line what a fault is and how it goes."""
    words = f"Fault {fault.id}: {printable(fault.says)} for {fault.left:.1f} s more"
    return words + (f", struck {fault.struck}×" if fault.struck else "")


@attrs.frozen
class Stopped:
    """How many faults were ended."""

    stopped: int


def stopped(answer: object, address: Address) -> str:
    """Say how many were ended."""
    count = structured(answer, Stopped, address, "number of faults").stopped
    if count == 0:
        return "No fault was active."
    return "One fault is over." if count == 1 else f"{count} faults are over."
