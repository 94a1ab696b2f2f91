"""A TCP proxy in front of a server, and what networks do to those who rely on them."""

from .catalogue import KINDS, attributes_of, make_toxic
from .errors import (
    BadPlace,
    BadProxy,
    BadToxic,
    PortTaken,
    ProxyError,
    ProxyExists,
    ToxicExists,
    UnknownProxy,
    UnknownToxic,
)
from .faults import AcceptAndHang, Blackhole, FlipBits, HalfOpen, RefuseConnections
from .frame_toxics import (
    CutFrame,
    DelayFrames,
    DropFrames,
    DuplicateFrames,
    FrameToxic,
    ReorderFrames,
)
from .place import Place, parse_place
from .proxy import FaultProxy, fault_proxy
from .stock import Bandwidth, Latency, LimitData, ResetPeer, Slicer, SlowClose, Timeout
from .toxic import DOWNSTREAM, STREAMS, UPSTREAM, Stream, Toxic
from .toxics import PlacedToxic, Toxics

__all__ = [
    "DOWNSTREAM",
    "KINDS",
    "STREAMS",
    "UPSTREAM",
    "AcceptAndHang",
    "BadPlace",
    "BadProxy",
    "BadToxic",
    "Bandwidth",
    "Blackhole",
    "CutFrame",
    "DelayFrames",
    "DropFrames",
    "DuplicateFrames",
    "FaultProxy",
    "FlipBits",
    "FrameToxic",
    "HalfOpen",
    "Latency",
    "LimitData",
    "Place",
    "PlacedToxic",
    "PortTaken",
    "ProxyError",
    "ProxyExists",
    "RefuseConnections",
    "ReorderFrames",
    "ResetPeer",
    "Slicer",
    "SlowClose",
    "Stream",
    "Timeout",
    "Toxic",
    "ToxicExists",
    "Toxics",
    "UnknownProxy",
    "UnknownToxic",
    "attributes_of",
    "fault_proxy",
    "make_toxic",
    "parse_place",
]
