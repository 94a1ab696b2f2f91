"""`deployd chaos report`: from what a run wrote to what people and CI read."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve
from click.testing import CliRunner

from deployd.tools.chaos.report import Result, written
from deployd.tools.cli import cli
from support.chaos_results import ALL_WELL, RESULT, RUN


def kept(folder: Path, result: Result, name: str = "result.json") -> str:
    path = folder / name
    path.write_bytes(written(result))
    return str(path)


def test_it_prints_and_writes_and_says_by_its_code_how_it_went(tmp_path: Path) -> None:
    page, junit = tmp_path / "a.html", tmp_path / "a.xml"
    arguments = ["chaos", "report", kept(tmp_path, RESULT), "--html", str(page)]
    done = CliRunner().invoke(cli, [*arguments, "--junit", str(junit)])
    assert done.exit_code == 1
    assert "2 deliveries were lost, and nobody was told." in done.output
    assert "2 deliveries were lost" in page.read_text()
    assert junit.read_bytes().startswith(b"<?xml")
    well = kept(tmp_path, Result((evolve(RUN, scenarios=(ALL_WELL,)),)))
    assert CliRunner().invoke(cli, ["chaos", "report", well]).exit_code == 0


def test_several_results_become_one_report(tmp_path: Path) -> None:
    other = Result((evolve(RUN, system="Socket.IO"),))
    page = tmp_path / "a.html"
    files = [kept(tmp_path, RESULT, "1.json"), kept(tmp_path, other, "2.json")]
    CliRunner().invoke(cli, ["chaos", "report", *files, "--html", str(page)])
    assert "Socket.IO" in page.read_text()
    assert "Scenario by scenario" in page.read_text()


def test_what_cannot_be_read_or_written_is_a_sentence(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.json")
    done = CliRunner().invoke(cli, ["chaos", "report", missing])
    assert done.exit_code == 1
    assert f"{missing} cannot be read: No such file or directory." in done.output
    page = str(tmp_path / "no" / "a.html")
    done = CliRunner().invoke(cli, ["chaos", "report", kept(tmp_path, RESULT), "--html", page])
    assert f"{page} cannot be written: No such file or directory." in done.output
    assert "Traceback" not in done.output
