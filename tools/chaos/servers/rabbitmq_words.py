"""What RabbitMQ's servers are told, as Erlang has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = [
    "ALARMS",
    "CONNECTIONS",
    "DENIED",
    "EXCHANGES",
    "FORCED",
    "LIMIT",
    "LOWERED",
    "QUEUES",
    "RAISED",
    "RUNNING",
    "USERS",
    "binary",
    "exchange",
    "users",
]

EXCHANGES: Final = {"rooms": "deployd.room", "pods": "deployd.pod", "everyone": "deployd.all"}
ALARMS: Final = {
    "memory": "vm_memory_monitor:set_vm_memory_high_watermark({})",
    "disk": "rabbit_disk_monitor:set_disk_free_limit({})",
}
RAISED: Final = {"memory": "0.00001", "disk": "1000000000000000"}
LOWERED: Final = {"memory": "0.6", "disk": "50000000"}
LIMIT: Final = 134_217_728
"""Bytes of the largest message where nobody has set it."""
FORCED: Final = "320"
DENIED: Final = "403"

RUNNING: Final = "length(rabbit_nodes:all_running())."
USERS: Final = """
    [begin
        ok = rabbit_auth_backend_internal:put_user(#{{name => U, tags => <<>>,
            password => <<"{password}">>}}, <<"chaos">>),
        ok = rabbit_auth_backend_internal:set_permissions(U, <<"/">>, <<".*">>, <<"{write}">>,
            <<".*">>, <<"chaos">>)
    end || U <- [{users}]].
"""
CONNECTIONS: Final = """
    Users = [{users}],
    User = fun(P) -> proplists:get_value(user, rabbit_networking:connection_info(P, [user])) end,
    Theirs = [P || P <- rabbit_networking:connections(), lists:member(User(P), Users)],
"""
QUEUES: Final = (
    CONNECTIONS
    + """
    Queues = [Q || Q <- rabbit_amqqueue:list(<<"/">>),
        lists:member(amqqueue:get_exclusive_owner(Q), Theirs)],
"""
)


def binary(words: str) -> str:
    """Return a string as Erlang writes binaries of UTF-8."""
    return "<<" + ",".join(str(byte) for byte in words.encode()) + ">>"


def users(pods: Sequence[int]) -> str:
    """Return the names of pods' users."""
    return ", ".join(f'<<"pod{pod}">>' for pod in pods)


def exchange(name: str) -> str:
    """Return an exchange's name, as the servers have it."""
    return f'rabbit_misc:r(<<"/">>, exchange, <<"{name}">>)'
