"""What RabbitMQ's nodes are told in Erlang, in milliseconds: `rabbitmqctl` takes a second or two.

A hidden node of Erlang that lives as long as the servers do, and as its standard input is open.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import IO, Final

from .errors import NotInstalled, NotObeyed
from .rabbitmq import RabbitServer, node_name

__all__ = ["RabbitConsole"]

ANSWERED: Final = 20.0
"""Seconds within which a node answers, or is told nothing more."""

_LOOP: Final = """
Run = fun(Node, Words) ->
    {ok, Tokens, _} = erl_scan:string(Words),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    case rpc:call(Node, erl_eval, exprs, [Expressions, []], 15000) of
        {value, Value, _} -> io_lib:format("ok ~0tp", [Value]);
        Other -> io_lib:format("error ~0tp", [Other])
    end
end,
Loop = fun Loop() ->
    case io:get_line("") of
        Line when is_list(Line) ->
            [Node, Words] = string:split(string:trim(Line), " "),
            Answer = try Run(list_to_atom(Node), Words)
                catch _:Reason -> io_lib:format("error ~0tp", [Reason]) end,
            io:format("~ts~n", [lists:flatten(Answer)]),
            Loop();
        _ -> halt()
    end
end,
Loop().
"""


class RabbitConsole:
    """Evaluates Erlang on nodes that have the cookie of one of them."""

    def __init__(self, server: RabbitServer, folder: Path) -> None:
        program = shutil.which("erl")
        if program is None:
            raise NotInstalled("erl", "apt-get install erlang-base")
        folder.mkdir(exist_ok=True)
        words = ["-noshell", "-hidden", "-sname", node_name(), "-setcookie", server.cookie]
        self._lock = threading.Lock()
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [program, *words, "-kernel", "logger_level", "none", "-eval", _LOOP],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**server.environment, "HOME": str(folder)},
            start_new_session=True,
        )

    def tell(self, server: RabbitServer, words: str) -> str:
        """Evaluate expressions on a node, and return the value of the last as Erlang writes it.

        Raises `NotObeyed` when that fails, or the node does not answer.
        """
        line = " ".join(words.split())
        with self._lock:
            said = self._ask(f"{server.name} {line}\n".encode())
        if not said.startswith("ok "):
            raise NotObeyed(f"RabbitMQ did not do `{line[:200]}`: {said[:500] or 'no answer'}")
        return said.removeprefix("ok ")

    def end(self) -> None:
        """End it."""
        with self._pipe(self._process.stdin), self._pipe(self._process.stdout), self._log:
            self._process.kill()
        self._process.wait()

    def _ask(self, line: bytes) -> str:
        asked, answers = self._pipe(self._process.stdin), self._pipe(self._process.stdout)
        asked.write(line)
        asked.flush()
        heard, deadline = b"", time.monotonic() + ANSWERED
        while not heard.endswith(b"\n"):
            ready, _, _ = select.select([answers], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(answers.fileno(), 65536) if ready else b""
            if not data:
                return ""
            heard += data
        return heard.decode(errors="replace").strip()

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None  # noqa: S101 - for the type checker
        return pipe
