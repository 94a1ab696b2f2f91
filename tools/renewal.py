"""What HUP does: settings, secrets and the certificate are read anew, and put in force as they can.

Who reads a bad file goes on with what is in force, and says what is to be mended.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ..config import (
    LEVELS,
    Config,
    ConfigurationError,
    get_logger,
    load_secrets,
    log_level,
    read_again,
    set_log_level,
)
from ..supervisors import Pod

__all__ = ["Renewal"]

_log = get_logger("serve")


class Renewal:
    """Renews what a pod goes by. `reread` reads its settings, and raises `ConfigurationError`."""

    def __init__(self, pod: Pod, in_force: Config, reread: Callable[[], Config]) -> None:
        self._pod = pod
        self._in_force = in_force
        self._reread = reread

    def __call__(self) -> None:
        """Read everything anew; all of it is put in force, or none."""
        try:
            wanted = self._reread()
            keys = load_secrets(Path(self._pod.config.server.data), os.environ, make=False)
        except ConfigurationError as error:
            _log.error("settings not reloaded, the pod goes on as it was", reason=str(error))
            return
        reading = read_again(self._in_force, wanted)
        self._in_force = reading.config
        self._pod.adopt(reading.config, keys)
        logging = reading.config.logging
        # Whoever asks for fewer lines, or for more, hears that it was done.
        talkative = min(log_level(), logging.level, key=LEVELS.index)
        set_log_level(talkative, trace=logging.realtime_debug)
        _log.info(
            "settings reloaded", changed=[*reading.changed], wait_for_a_start=[*reading.later]
        )
        set_log_level(logging.level, trace=logging.realtime_debug)
