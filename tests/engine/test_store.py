"""The store: what a killed, repeated, crowded or disk-starved writer leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.atomic import write_whole
from engine.errors import EngineError
from engine.store import (
    Response,
    Score,
    Segment,
    append_records,
    read_header,
    read_measurements,
    read_responses,
    read_scores,
    response_id,
    responses_folder,
    save_tensors,
    scores_folder,
    text_hash,
    write_measurements,
    writer_name,
)
from engine.workspace import Workspace, find_workspace

CELL = "c" * 16


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


def response(sample: int, text: str = "text") -> Response:
    return Response(response_id(CELL, "p", sample), CELL, "p", "question", sample, 7, text, text_hash(text), "stop", 3)


def write(workspace: Workspace, writer: str, *records: Response) -> Path:
    with Segment(responses_folder(workspace, CELL), writer) as segment:
        append_records(segment, records)
    assert segment.path is not None
    return segment.path


def write_one_by_one(workspace: Workspace, count: int) -> None:
    with Segment(responses_folder(workspace, CELL), "w") as segment:
        for sample in range(count):
            append_records(segment, [response(sample)])


def test_a_record_has_exactly_the_fields_of_the_design(workspace):
    path = write(workspace, "w", response(0))
    assert path == workspace.root / "artifacts/responses" / CELL / "w.jsonl"
    fields = "id cell prompt_id prompt sample seed text text_sha256 finish n_tokens"
    assert list(json.loads(path.read_text())) == fields.split()


def test_scores_have_exactly_the_fields_of_the_design_and_join_by_text(workspace):
    one = Score(("a",), (text_hash("x"),), None, 0.5, "tie", {"Yes": 0.5}, "judge.v1")
    with Segment(scores_folder(workspace, "judge.v1"), "w") as segment:
        append_records(segment, [one])
    assert segment.path == workspace.root / "artifacts/scores/judge.v1/w.jsonl"
    assert list(json.loads(segment.path.read_text())) == ["subjects", "text_sha256", "order", "value", "label", "raw", "scorer"]
    assert read_scores(workspace, "judge.v1") == {(("a",), (text_hash("x"),), None): one}


def test_ids_follow_cell_prompt_and_sample():
    ids = {response_id(*key) for key in [("a", "p", 0), ("b", "p", 0), ("a", "q", 0), ("a", "p", 1)]}
    assert len(ids) == 4
    assert response_id("a", "p", 0) in ids


def test_a_torn_last_line_is_dropped_with_a_notice(workspace, capsys):
    path = write(workspace, "w", response(0), response(1))
    path.write_bytes(path.read_bytes()[:-20])
    assert [one.sample for one in read_responses(workspace, CELL).values()] == [0]
    assert "torn last line" in capsys.readouterr().err


def test_a_broken_line_inside_a_segment_is_an_error_that_names_it(workspace):
    path = write(workspace, "w", response(0), response(1))
    path.write_bytes(b"{broken\n" + path.read_bytes())
    with pytest.raises(EngineError, match=r"w\.jsonl, line 1 is not JSON"):
        read_responses(workspace, CELL)


def test_a_record_of_another_form_is_an_error_that_names_its_file(workspace):
    path = write(workspace, "w", response(0))
    path.write_text('{"id": "x", "colour": "red"}\n')
    with pytest.raises(EngineError, match=r"w\.jsonl holds a record that is no response"):
        read_responses(workspace, CELL)


def test_a_restarted_writer_never_continues_behind_a_torn_line(workspace):
    path = write(workspace, "w", response(0), response(1))
    path.write_bytes(path.read_bytes()[:-20])
    assert write(workspace, "w", response(1)).name == "w.2.jsonl"
    assert sorted(one.sample for one in read_responses(workspace, CELL).values()) == [0, 1]


def test_the_same_id_with_another_text_keeps_both_and_shows_the_newest(workspace, capsys):
    old, new = write(workspace, "z-old", response(0, "old")), write(workspace, "a-new", response(0, "new"))
    os.utime(old, ns=(1, 1))
    assert [one.text for one in read_responses(workspace, CELL).values()] == ["new"]
    assert "more than one text" in capsys.readouterr().err
    assert old.is_file()
    assert new.is_file()


def test_segments_of_two_machines_merge_by_copying(workspace, tmp_path):
    write(workspace, "one", response(0), response(1))
    other = Workspace(tmp_path / "other")
    for path in (write(other, "two", response(1), response(2)),):
        path.rename(responses_folder(workspace, CELL) / path.name)
    assert sorted(one.sample for one in read_responses(workspace, CELL).values()) == [0, 1, 2]


def test_writers_are_named_after_their_attempt(monkeypatch):
    monkeypatch.setenv("TILLER_ATTEMPT_ID", "20261120-1/apply agree/../2")
    assert writer_name() == "20261120-1_apply_agree____2"
    monkeypatch.delenv("TILLER_ATTEMPT_ID")
    assert writer_name() != writer_name()


def test_kill_9_in_the_middle_then_resume_leaves_every_record_once(workspace):
    """A real process is killed while it appends; another reads what is there and writes the rest."""
    code = """
import sys
from pathlib import Path
from engine.store import *
from engine.workspace import Workspace
workspace, cell = Workspace(Path(sys.argv[1])), sys.argv[2]
known = read_responses(workspace, cell)
with Segment(responses_folder(workspace, cell), writer_name()) as segment:
    for sample in range(int(sys.argv[3])):
        id_ = response_id(cell, "p", sample)
        if id_ not in known:
            text = f"text {sample} " * 50
            append_records(segment, [Response(id_, cell, "p", "q", sample, 7, text, text_hash(text), "stop", 3)])
"""
    command = [sys.executable, "-c", code, str(workspace.root), CELL]
    folder = responses_folder(workspace, CELL)
    for _ in range(3):
        before = sum(path.stat().st_size for path in folder.glob("*.jsonl"))
        process = subprocess.Popen([*command, "1000000"])
        while sum(path.stat().st_size for path in folder.glob("*.jsonl")) < before + 50_000:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    count = len(read_responses(workspace, CELL)) + 100
    subprocess.run([*command, str(count)], check=True)
    lines = [line for path in folder.glob("*.jsonl") for line in path.read_bytes().split(b"\n") if line.endswith(b"}")]
    assert sorted(json.loads(line)["sample"] for line in lines) == list(range(count))


def test_measurements_are_numbered_segments_and_the_newest_row_wins(workspace):
    import pyarrow as pa

    schema = pa.schema([("item_id", pa.string()), ("p", pa.float64())])
    paths = [
        write_measurements(workspace, "ab", CELL, "w", [{"item_id": "x", "p": p}, {"item_id": str(p), "p": p}], schema)
        for p in (0.1, 0.2)
    ]
    assert [path.name for path in paths] == ["w-1.parquet", "w-2.parquet"]
    os.utime(paths[0], ns=(1, 1))
    rows = read_measurements(workspace, "ab", CELL, "item_id")
    assert {name: row["p"] for name, row in rows.items()} == {"x": 0.2, "0.1": 0.1, "0.2": 0.2}


def test_tensors_carry_their_settings_in_the_header(tmp_path):
    import torch

    path = tmp_path / "v.safetensors"
    save_tensors(path, {"stream.0": torch.arange(3.0)}, {"layers": 1})
    assert read_header(path) == {"layers": 1}
    path.write_bytes(b"junk" * 9)
    with pytest.raises(EngineError, match=r"v\.safetensors is not a vectors file"):
        read_header(path)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_sentence_and_nothing_half_written(small_disk):
    workspace = Workspace(small_disk)
    with pytest.raises(EngineError, match=r"responses/.*disk is full: free some space"):
        write(workspace, "w", *(response(sample) for sample in range(50)), *(response(9, "x" * 300_000),))
    assert list(small_disk.rglob("*.jsonl")) == []
    with pytest.raises(EngineError, match="disk is full"):
        write_one_by_one(workspace, 10_000)
    kept = read_responses(workspace, CELL)
    assert len(kept) > 100
    assert all(path.read_bytes().endswith(b"}\n") for path in small_disk.rglob("*.jsonl"))
    with pytest.raises(EngineError, match=r"big\.bin; the disk is full"):
        write_whole(small_disk / "big.bin", b"x" * 300_000)
    assert {path.suffix for path in small_disk.rglob("*") if path.is_file()} == {".jsonl"}


def test_the_workspace_is_the_nearest_one_or_the_named_one(tmp_path, monkeypatch):
    monkeypatch.delenv("TILLER_WORKSPACE", raising=False)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    with pytest.raises(EngineError, match="tiller init"):
        find_workspace()
    for part in ("runs", "logs", "artifacts"):
        (tmp_path / part).mkdir()
    assert find_workspace().root == tmp_path
    (tmp_path / "a" / "tiller.toml").touch()
    assert find_workspace().root == tmp_path / "a"
    monkeypatch.setenv("TILLER_WORKSPACE", str(tmp_path))
    assert find_workspace().root == tmp_path
    monkeypatch.setenv("TILLER_WORKSPACE", str(tmp_path / "none"))
    with pytest.raises(EngineError, match="TILLER_WORKSPACE"):
        find_workspace()
