"""Pods inside programs that do not run on trio. Import the module of the program's own loop."""

__all__: list[str] = []
