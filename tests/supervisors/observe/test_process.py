from __future__ import annotations

import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector

from deployd.supervisors.observe import read_process


def test_it_reads_what_the_library_reads() -> None:
    families = ProcessCollector(registry=CollectorRegistry()).collect()
    theirs = {sample.name: sample.value for family in families for sample in family.samples}
    ours = read_process()
    assert ours.max_files == theirs["process_max_fds"]
    assert ours.started_at == theirs["process_start_time_seconds"]
    assert ours.virtual_bytes == pytest.approx(theirs["process_virtual_memory_bytes"], rel=0.05)
    assert ours.resident_bytes == pytest.approx(theirs["process_resident_memory_bytes"], rel=0.05)
    assert ours.cpu_seconds == pytest.approx(theirs["process_cpu_seconds_total"], abs=0.5)


@pytest.mark.parametrize("old_kernel", [False, True])
def test_open_files_are_counted_also_where_the_folder_does_not_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, old_kernel: bool
) -> None:
    before = read_process().open_files
    assert before is not None
    assert before == len(os.listdir("/proc/self/fd")) - 1  # but for the listing itself
    if old_kernel:
        monkeypatch.setattr(Path, "stat", lambda _: os.stat_result((0,) * 10))
        before += 1
    opened = [(tmp_path / str(number)).open("w") for number in range(5)]
    try:
        assert read_process().open_files == before + 5
    finally:
        for file in opened:
            file.close()


def test_a_name_with_brackets_confuses_nobody(tmp_path: Path) -> None:
    (tmp_path / "self" / "fd").mkdir(parents=True)
    (tmp_path / "stat").write_text("cpu 1 2\nbtime 1700000000\n")
    fields = ["S", *(str(number) for number in range(4, 53))]
    (tmp_path / "self" / "stat").write_text(f"7 (a) b (c) {' '.join(fields)}\n")
    process = read_process(tmp_path)
    assert process.virtual_bytes == 23
    assert process.started_at == 1_700_000_000 + 22 / os.sysconf("SC_CLK_TCK")


def test_where_the_system_keeps_it_back_the_rest_is_told(tmp_path: Path) -> None:
    process = read_process(tmp_path)
    assert process.cpu_seconds > 0
    assert (process.open_files, process.resident_bytes, process.started_at) == (None, None, None)


@pytest.mark.parametrize("file", ["stat", "self/stat"])
@pytest.mark.parametrize("content", [b"", b"7 (a) S 1", b"\xff\x00", b"btime soon\n"], ids=repr)
def test_half_of_what_the_system_says_is_as_little_as_nothing(
    file: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "self" / "fd").mkdir(parents=True)
    (tmp_path / "stat").write_text("btime 1700000000\n")
    fields = " ".join(str(number) for number in range(4, 53))
    (tmp_path / "self" / "stat").write_text(f"7 (a) S {fields}\n")
    (tmp_path / file).write_bytes(content)
    process = read_process(tmp_path)
    assert process.cpu_seconds > 0
    assert process.started_at is None
