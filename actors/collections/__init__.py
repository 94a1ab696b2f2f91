"""Live collections: documents that tell those who listen when they change."""

__all__: list[str] = []
