"""Brokers: what joins pods together, behind one contract."""

from .beats import (
    MOST_ECHOES,
    MOST_HEARD,
    MOST_MARKS,
    AskEcho,
    AskSince,
    Beat,
    Mark,
    Miss,
    ask_echo,
    ask_since,
    beat,
)
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
    Probe,
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
    "MOST_ECHOES",
    "MOST_EVENTS",
    "MOST_HEARD",
    "MOST_MARKS",
    "SIGNATURE_BYTES",
    "AskEcho",
    "AskSince",
    "Beat",
    "Broker",
    "Channel",
    "Envelope",
    "Inbox",
    "Mark",
    "Message",
    "Miss",
    "Probe",
    "Signer",
    "ask_echo",
    "ask_since",
    "beat",
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
