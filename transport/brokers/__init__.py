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
from .crossing import DEEPEST, too_deep, utterable
from .envelope import (
    ENVELOPE_BYTES,
    EVENT_BYTES,
    MOST_EVENTS,
    Envelope,
    Event,
    Greeting,
    Probe,
    greeting,
    pack,
    probe,
    unpack,
)
from .loading import load_broker
from .sealing import SEAL_BYTES, Seal

__all__ = [
    "DEEPEST",
    "ENVELOPE_BYTES",
    "EVENT_BYTES",
    "EVERYONE",
    "MOST_EVENTS",
    "SEAL_BYTES",
    "Broker",
    "Channel",
    "Envelope",
    "Event",
    "Greeting",
    "Inbox",
    "Message",
    "Probe",
    "Seal",
    "greeting",
    "load_broker",
    "pack",
    "pod_channel",
    "probe",
    "refuse_too_large",
    "room_channel",
    "too_deep",
    "unpack",
    "utterable",
]
