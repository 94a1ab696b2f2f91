"""What a broker is: the promise, and the suite that holds every broker to it."""

from .broker import Broker, Channel, Inbox, Message, node_name, refuse_too_large
from .channels import EVERYONE, pod_channel, room_channel

__all__ = [
    "EVERYONE",
    "Broker",
    "Channel",
    "Inbox",
    "Message",
    "node_name",
    "pod_channel",
    "refuse_too_large",
    "room_channel",
]
