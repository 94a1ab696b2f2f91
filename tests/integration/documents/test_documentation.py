"""The examples of docs/collections.md, each against a running pod."""

from __future__ import annotations

import json
import re
from pathlib import Path

from support import running_collections, write_collection

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "collections.md").read_text()
LINE = re.compile(r"(GET|POST|PUT|DELETE) (\S+)(?: (\{.*\}))? +→ (.+)")


def examples() -> list[tuple[str, str, str | None, str]]:
    found = []
    for block in re.findall(r"```http\n(.*?)```", TEXT, re.DOTALL):
        for line in block.strip().splitlines():
            match = LINE.fullmatch(line)
            assert match is not None, line
            found.append((match[1], match[2], match[3], match[4]))
    return found


async def test_each_example_is_answered_as_it_says(tmp_path: Path) -> None:
    [definition] = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    write_collection(tmp_path, "todos", json.loads(definition))
    async with running_collections(tmp_path) as (_, http):
        for method, path, body, outcome in examples():
            document = None if body is None else json.loads(body)
            answer = await http.request(method, path, json=document)
            if outcome.isdigit():
                assert answer.status_code == int(outcome), (method, path, answer.text)
            else:
                assert answer.status_code == 200, (method, path, answer.text)
                assert [one["id"] for one in answer.json()] == outcome.split(", "), path
    assert len(examples()) > 20
