"""The runbooks as a page: `/_dashboard/runbooks`, to which alerts and the dashboard link."""

from __future__ import annotations

from importlib import resources
from itertools import pairwise

from markdown_it import MarkdownIt

__all__ = ["runbooks_page"]

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Runbooks · deployd</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/_dashboard/style.css">
</head>
<body class="text">
<p><a href="/_dashboard/">Dashboard</a></p>
"""


def runbooks_page() -> bytes:
    """Return the packaged runbooks as HTML; each has the anchor that its heading says."""
    text = resources.files("deployd.web").joinpath("runbooks.md").read_text(encoding="utf-8")
    markdown = MarkdownIt("commonmark").enable("table")
    tokens = markdown.parse(text)
    for opening, heading in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", heading.content.lower().replace(" ", "-"))
    body = markdown.renderer.render(tokens, markdown.options, {})
    return f"{_HEAD}{body}</body>\n</html>\n".encode()
