"""TypeScript's own compiler, held against what is typed here."""

from __future__ import annotations

from pathlib import Path

import trio

from .packages_of_node import node_program, package_of_npm

__all__ = ["typescript_errors"]

_OPTIONS = (
    *("--noEmit", "--pretty", "false", "--strict"),
    *("--target", "es2022", "--lib", "es2022,dom", "--module", "nodenext"),
)
PATIENCE = 120.0
"""Seconds; it takes three on a machine that does nothing else."""


async def typescript_errors(folder: Path, *files: str) -> str:
    """Compile files of a folder; return what the compiler complains of, "" where of nothing."""
    compiler = package_of_npm("typescript") / "bin" / "tsc"
    with trio.fail_after(PATIENCE):
        done = await trio.run_process(
            [node_program(), str(compiler), *_OPTIONS, *files],
            cwd=folder,
            capture_stdout=True,
            check=False,
        )
    said = done.stdout.decode()
    assert said or done.returncode == 0, done
    return said
