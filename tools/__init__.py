"""What operators run: `deployd`, one file a command. Nothing here is meant to be imported."""

__all__: list[str] = []
