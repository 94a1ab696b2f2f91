"""Messages between pods, signed: who reaches the broker without the secret can say nothing.

A signature stands at the end of a message, which stays one JSON object: pods that know nothing of
it pass over two more fields.

    {"v":1,"o":"9f3c21aa", … ,"k":["9f3c21aa",1764072000123,17,1764072001500],"s":"<44 characters>"}

`k` who signed: pod, epoch, the number of this message among all that it has signed since then, and
when (unix ms). `s` is the HMAC-SHA-256 (RFC 2104) of the channel, a zero byte, and every byte of
the message before `,"s"`. It is looked at before anything is parsed.

So a message can be neither made, changed, sent to another channel nor sent twice. What was signed
longer ago than the window is refused, which bounds what one may be kept back for.
"""

from __future__ import annotations

import hmac
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from typing import Final

import orjson

from ...config import BrokerSettings
from ..errors import EnvelopeError, EnvelopeFault
from .contract import Channel
from .replay import Replays

__all__ = ["SIGNATURE_BYTES", "Signer"]

SIGNATURE_BYTES: Final = 256
"""More than a signature takes."""
_BEGINS, _ENDS = b',"s":"', b'"}'
_SIGNER: Final = b',"k":'
_TAIL: Final = len(_BEGINS) + 44 + len(_ENDS)


class Signer:
    """Signs what one pod says, and verifies what comes.

    `keys` are at least one: the first signs, all are accepted. `window` is how long (seconds) a
    message may be on its way, and how far clocks may differ. `now` is unix seconds.
    """

    def __init__(
        self,
        pod_id: str,
        epoch: int,
        keys: Sequence[bytes],
        window: float,
        now: Callable[[], float],
    ) -> None:
        self._sender = b'%b["%b",%d,' % (_SIGNER, pod_id.encode(), epoch)
        self._keys = tuple(keys)
        self._window = window
        self._now = now
        self._number = 0
        self._replays = Replays()

    @classmethod
    def of(
        cls, settings: BrokerSettings, pod_id: str, epoch: int, now: Callable[[], float]
    ) -> Signer | None:
        """Return what the settings ask for, or None where there is no secret."""
        if not settings.secret:
            return None
        secrets = filter(None, (settings.secret, settings.previous_secret))
        keys = [secret.encode() for secret in secrets]
        return cls(pod_id, epoch, keys, settings.replay_window, now)

    def sign(self, channel: Channel, payload: bytes) -> bytes:
        """Return a message, signed for this channel. It is good for one sending."""
        self._number += 1
        millis = int(self._now() * 1000)
        body = b"%b%b%d,%d]" % (payload[:-1], self._sender, self._number, millis)
        return b"%b%b%b%b" % (body, _BEGINS, _tag(self._keys[0], channel, body), _ENDS)

    def verify(self, channel: Channel, payload: bytes) -> None:
        """Raise `EnvelopeError` unless a pod with the secret said this, here, now and once."""
        tail = payload[-_TAIL:]
        if not (tail.startswith(_BEGINS) and tail.endswith(_ENDS)):
            raise EnvelopeError("it is not signed", EnvelopeFault.UNSIGNED)
        body, given = payload[:-_TAIL], tail[len(_BEGINS) : -len(_ENDS)]
        if not any(hmac.compare_digest(given, _tag(key, channel, body)) for key in self._keys):
            raise EnvelopeError(
                "its signature is of another secret or channel", EnvelopeFault.FORGED
            )
        sender, epoch, number, millis = _signer(body)
        late = self._now() - millis / 1000
        if abs(late) > self._window:
            raise EnvelopeError(
                f"it was signed {late:.0f} s ago by the clock of {sender}", EnvelopeFault.STALE
            )
        if not self._replays.admit(sender, epoch, number):
            raise EnvelopeError("it has come before", EnvelopeFault.REPLAYED)


def _tag(key: bytes, channel: Channel, body: bytes) -> bytes:
    digest = hmac.digest(key, b"%b\0%b" % (channel.encode(), body), "sha256")
    return b2a_base64(digest, newline=False)


def _signer(body: bytes) -> tuple[str, int, int, int]:
    """Read who signed: some pod did, but perhaps one of another version."""
    try:
        match orjson.loads(body[body.rindex(_SIGNER) + len(_SIGNER) :]):
            case [str(sender), int(epoch), int(number), int(millis), *_] if number > 0:
                return sender, epoch, number, millis
    except ValueError:
        pass
    raise EnvelopeError("it does not say who signed it")
