"""Brokers: what joins pods together, behind one contract."""

from .broker import Broker, Channel, Inbox, Message, refuse_too_large
from .channels import EVERYONE, pod_channel, room_channel

__all__ = [
    "EVERYONE",
    "Broker",
    "Channel",
    "Inbox",
    "Message",
    "pod_channel",
    "refuse_too_large",
    "room_channel",
]
