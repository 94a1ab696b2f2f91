"""Makes a plan that fails smaller, as long as it still fails: fewer faults, then less said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from attrs import evolve

from .plan import Act, RunPlan

__all__ = ["shrink"]

MOST_TRIES: Final = 200
"""Runs that shrinking may take."""

T = TypeVar("T")


def shrink(plan: RunPlan, fails: Callable[[RunPlan], bool], tries: int = MOST_TRIES) -> RunPlan:
    """Return the smallest plan found that still fails; `fails` runs one and judges it."""
    left = tries

    def still(smaller: RunPlan) -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and fails(smaller)

    faults = _fewer(plan.faults, lambda kept: still(evolve(plan, faults=tuple(kept))))
    plan = evolve(plan, faults=tuple(faults))
    said = [deed for deed in plan.deeds if deed.act is Act.SAY]
    rest = [deed for deed in plan.deeds if deed.act is not Act.SAY]

    def with_said(kept: Sequence[object]) -> RunPlan:
        deeds = [deed for deed in said if deed in kept] + rest
        return evolve(plan, deeds=tuple(sorted(deeds, key=lambda deed: deed.at)))

    return with_said(_fewer(said, lambda kept: still(with_said(kept))))


def _fewer(whole: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """Leave out pieces, ever smaller ones, as long as what is left fails (delta debugging)."""
    pieces = 2
    while whole:
        size = max(1, len(whole) // pieces)
        for begin in range(0, len(whole), size):
            kept = [*whole[:begin], *whole[begin + size :]]
            if fails(kept):
                whole = kept
                break
        else:
            if size == 1:
                return whole
            pieces *= 2
    return whole
