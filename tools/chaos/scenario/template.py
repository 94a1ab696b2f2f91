"""What `deployd chaos new` writes: a scenario that can be played, and says what may change."""

from __future__ import annotations

from .inner_faults import FAULTS
from .schema import CONDITIONS

__all__ = ["template"]


def template(name: str) -> str:
    """Return the text of a new scenario's file."""
    faults = "".join(f"#   {fault:24}{_first(kind)}\n" for fault, kind in FAULTS.items())
    conditions = ", ".join(f'"{condition}"' for condition in CONDITIONS)
    return _TEXT.format(name=name, faults=faults, conditions=conditions)


def _first(kind: type) -> str:
    return (kind.__doc__ or "").split(":")[0].split(". ")[0].splitlines()[0].rstrip(".")


_TEXT = """\
#:schema ./chaos-scenario.schema.json
# Played by `deployd chaos run {name}.toml`; with --simulated in the simulator.

title = "A server is killed, and connections are reset while the pods recover"
# catalogue = [1, 8]            # cases of docs/faults.md that it plays

# With which brokers (nats, redis, rabbitmq), topologies (single, cluster, sentinel) or both
# ("redis-cluster") it has no sense, and why.
# [not_with]
# sentinel = "Sentinels make another the master."

[pods]
count = 3
# signed = true                 # pods have a secret, and sign what they say
# clocks = [0, 300, -300]       # seconds by which each one's clock is wrong

[load]
clients = 2                     # on each pod
rate = 2.0                      # words a second of each

# Rooms, each with what becomes of emits while the broker is away (local_only, buffer, reject) and
# when they are answered (confirmed, heard). Without any there are plain, heard, kept and strict.
[[load.rooms]]
name = "plain"

[[load.rooms]]
name = "orders"
policy = "buffer"
receipt = "heard"

# What goes wrong, and when. A step begins `at` so many seconds after all are in their rooms, or
# `when` one of these comes about after the step before it, and `wait` seconds later:
#   {conditions}.
# It is over after `for` seconds, or `until` one of these comes about or the step of a name begins.
# Faults, of which `with` says more:
{faults}
[[steps]]
at = 3.0
fault = "broker.kill"
with = {{ servers = [0] }}
for = 3.0

[[steps]]
name = "reset"
when = "breaker opens"
wait = 3.5
fault = "way.cut"

# What must hold beside the promise itself: who misses a word is told of it, whatever happens.
[expect]
outage = "must"                 # somebody notices; "may", or "never"
detected_within = 0.5           # seconds
told_within = 3.0
healed_within = 5.0
"""
