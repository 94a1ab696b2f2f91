"""The types of dpd.js, as TypeScript's compiler understands them."""

from __future__ import annotations

import shutil
from pathlib import Path

from support.typescript import typescript_errors

HERE = Path(__file__).parent
CLIENT = HERE.parents[1] / "web" / "client"


def laid_out(folder: Path, *files: str) -> Path:
    """Put files of `typed/` beside the client, as it lies on a developer's disk."""
    for each in (*CLIENT.iterdir(), *(HERE / "typed" / name for name in files)):
        shutil.copy(each, folder)
    return folder


async def test_what_is_typed_is_allowed_and_what_is_wrong_is_an_error(tmp_path: Path) -> None:
    files = ("client.ts", "module.mts")
    assert await typescript_errors(laid_out(tmp_path, *files), *files) == ""


async def test_the_compiler_tells_of_a_mistake(tmp_path: Path) -> None:
    folder = laid_out(tmp_path, "client.ts")
    text = (folder / "client.ts").read_text()
    (folder / "client.ts").write_text(text.replace("// @ts-expect-error\n", "", 1))
    assert "Type 'string' is not assignable to type 'number'" in await typescript_errors(
        folder, "client.ts"
    )
