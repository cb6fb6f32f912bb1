"""The journal's format and durability."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_graph.errors import GraphError
from gpu_graph.journal import Journal, decode, encode, read

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.dictionaries(st.text(), VALUES, min_size=1, max_size=6).filter(lambda record: "crc" not in record)


def written(path, *records) -> None:
    journal = Journal(path)
    for record in records:
        journal.append(record)
    journal.sync()
    journal.close()


@given(RECORDS)
def test_a_line_reads_back_as_the_record_that_was_written(record):
    line = encode(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == record


@given(RECORDS, st.data())
def test_a_line_with_any_byte_changed_is_noticed(record, data):
    line = bytearray(encode(record))
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] ^= data.draw(st.integers(1, 255))
    assert decode(bytes(line)) is None


@given(RECORDS, st.data())
def test_a_line_cut_anywhere_is_noticed(record, data):
    line = encode(record)
    assert decode(line[: data.draw(st.integers(0, len(line) - 1))]) is None


@given(st.binary(max_size=60))
def test_no_bytes_make_decoding_fail(line):
    assert decode(line) is None


def test_a_torn_tail_is_dropped_and_cut_off_before_the_next_record(tmp_path):
    path = tmp_path / "journal.jsonl"
    written(path, {"type": "a"}, {"type": "b"})
    with path.open("ab") as file:
        file.write(encode({"type": "torn", "by": "a crash" * 20})[:-5])
    records, size = read(path)
    assert [record["type"] for record in records] == ["a", "b"]
    journal = Journal(path, size=size)
    journal.append({"type": "c"})
    journal.sync()
    journal.close()
    assert [record["type"] for record in read(path)[0]] == ["a", "b", "c"]
    assert path.stat().st_size == read(path)[1]


def test_damage_in_the_midst_is_an_error_that_names_the_line(tmp_path):
    path = tmp_path / "journal.jsonl"
    written(path, {"type": "a"}, {"type": "b"}, {"type": "c"})
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b"b", b"x") + lines[2])
    with pytest.raises(GraphError, match=r"journal\.jsonl: line 2 is damaged"):
        read(path)


def test_what_was_appended_but_not_written_is_not_in_the_file(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append({"type": "a"})
    assert path.read_bytes() == b""
    journal.write()
    assert read(path)[0] == [{"type": "a"}]
    journal.close()


def test_a_full_disk_loses_nothing_and_the_write_can_be_repeated(tmp_path):
    """A file-size limit stands for the disk: the first sync fails midway, and succeeds when there is room."""
    path = tmp_path / "journal.jsonl"
    script = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from gpu_graph.journal import Journal
        journal = Journal(Path(sys.argv[1]))
        for number in range(100):
            journal.append({"type": "t", "number": number})
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        failures = 0
        for _ in range(3):
            try:
                journal.sync()
            except OSError:
                failures += 1
        journal.append({"type": "t", "number": 100})
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        journal.sync()
        print(failures)
    """)
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "3", done.stderr
    assert [record["number"] for record in read(path)[0]] == list(range(101))
