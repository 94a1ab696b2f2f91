"""Names of scenarios, for the shell that completes them."""

from __future__ import annotations

import click

from .shipped import names

__all__ = ["complete_names"]


def complete_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Return the shipped scenarios that begin so."""
    return [name for name in names() if name.startswith(incomplete)]
