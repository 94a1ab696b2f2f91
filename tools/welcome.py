"""What `deployd serve` says when the pod is up: where to click next."""

from collections.abc import Mapping, Sequence
from typing import Final

from rich.text import Text

EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::", "127.0.0.1", "localhost"})  # noqa: S104
"""Addresses to listen on which a browser on the same machine knows as localhost."""


def base_url(host: str, port: int, *, tls: bool = False) -> str:
    """Return the pod's URL as somebody on its machine writes it."""
    name = "localhost" if host in EVERYWHERE else f"[{host}]" if ":" in host else host
    return f"http{'s' if tls else ''}://{name}:{port}"


def links(url: str) -> dict[str, str]:
    """Return what there is to open at the pod at `url`, by name."""
    return {
        "page": f"{url}/",
        "self_test": f"{url}/self-test.html",
        "health": f"{url}/health/live",
        "tree": f"{url}/_dashboard/api/actors",
        "websocket": f"ws{url.removeprefix('http')}/socket.io/",
    }


def rows_of(urls: Mapping[str, str], key: str, settings: str) -> list[tuple[str, str, str]]:
    """Give each URL a name and a few words."""
    return [
        ("page", urls["page"], "names the pod and links what there is"),
        ("self-test", urls["self_test"], "talk to the pod from a browser, and see it work"),
        ("health", urls["health"], "answers while the pod lives"),
        ("tree", urls["tree"], "who lives and who was restarted; also: deployd tree"),
        ("WebSocket", urls["websocket"], "clients connect here; deployd token signs them in"),
        ("master key", key, "stands for root; keep it to yourself"),
        ("settings", settings, "what is in force: deployd config"),
    ]


def welcome(title: str, rows: Sequence[tuple[str, str, str]], last: str) -> Text:
    """Lay out a title, rows of name, value and remark, and a last line."""
    text = Text("\n").append(f"  {title}\n\n", "bold")
    names, values = (max(len(row[i]) for row in rows) for i in (0, 1))
    for name, value, remark in rows:
        text.append(f"  {name:<{names}}  ", "dim")
        text.append(f"{value:<{values}}", "cyan")
        text.append(f"  {remark}\n", "dim")
    return text.append(f"\n  {last}\n")
