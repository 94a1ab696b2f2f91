"""`deployd`, and `python -m deployd.tools`."""

import os
import signal

FIRST = 1
"""The process that a container ends with."""


def main() -> None:
    """Run the command, which takes most of a second to import."""
    if os.getpid() == FIRST:
        # The kernel drops what the first process has no handler for: told to stop before it can
        # hear that, a pod would be killed when its time is up.
        signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    from .cli import main as command

    command()


if __name__ == "__main__":
    main()
