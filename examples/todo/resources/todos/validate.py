"""What a todo must be beyond its types: runs for each POST and PUT, before anything is written."""

from deployd.documents import Context

LONGEST = 80
"""Characters of a title."""


def run(ctx: Context) -> None:
    """Tidy the title up, and refuse one that says nothing or too much."""
    title = " ".join(str(ctx.data["title"]).split())
    if not title:
        ctx.error("title", "must say what is to be done")
    if len(title) > LONGEST:
        ctx.error("title", f"must have {LONGEST} characters at most")
    ctx.data["title"] = title
