"""Brokers: what joins pods together, behind one contract."""

from .broker import Broker, Channel, Inbox, Message, refuse_too_large
from .channels import EVERYONE, pod_channel, room_channel
from .envelope import (
    ENVELOPE_BYTES,
    EVENT_BYTES,
    Envelope,
    Greeting,
    Probe,
    Remote,
    greeting,
    pack,
    probe,
    unpack,
    utterable,
)
from .loading import load_broker

__all__ = [
    "ENVELOPE_BYTES",
    "EVENT_BYTES",
    "EVERYONE",
    "Broker",
    "Channel",
    "Envelope",
    "Greeting",
    "Inbox",
    "Message",
    "Probe",
    "Remote",
    "greeting",
    "load_broker",
    "pack",
    "pod_channel",
    "probe",
    "refuse_too_large",
    "room_channel",
    "unpack",
    "utterable",
]
