"""Brokers: what joins pods together, behind one contract."""

from .contract import (
    EVERYONE,
    Broker,
    Channel,
    Inbox,
    Message,
    pod_channel,
    refuse_too_large,
    room_channel,
)
from .envelope import (
    ENVELOPE_BYTES,
    EVENT_BYTES,
    MOST_EVENTS,
    Envelope,
    Greeting,
    Probe,
    Remote,
    greeting,
    pack,
    probe,
    unpack,
)
from .loading import load_broker
from .message_rules import DEEPEST, may_be_said, too_deep
from .signing import SIGNATURE_BYTES, Signer

__all__ = [
    "DEEPEST",
    "ENVELOPE_BYTES",
    "EVENT_BYTES",
    "EVERYONE",
    "MOST_EVENTS",
    "SIGNATURE_BYTES",
    "Broker",
    "Channel",
    "Envelope",
    "Greeting",
    "Inbox",
    "Message",
    "Probe",
    "Remote",
    "Signer",
    "greeting",
    "load_broker",
    "may_be_said",
    "pack",
    "pod_channel",
    "probe",
    "refuse_too_large",
    "room_channel",
    "too_deep",
    "unpack",
]
