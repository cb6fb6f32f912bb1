"""Framing: what is cut in parts comes back whole, and what is no message is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_graph.errors import ServerError
from gpu_graph.protocol import MAX_FRAME, decode, encode, error_frames, reply_frames

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_a_message_reads_back_from_one_line(message):
    line = encode(message)
    assert line.index(b"\n") == len(line) - 1
    assert decode(line) == message


@pytest.mark.parametrize("line", [b"", b"nonsense", b"[1]", b'"x"', b"\xff\xfe", b"[" * 100_000, b"1" * 10_000, b"{'a': 1}"])
def test_what_is_no_json_object_is_refused(line):
    with pytest.raises(ServerError, match="not a JSON"):
        decode(line)


@pytest.mark.parametrize(
    "content", ["é" * MAX_FRAME, '"\\' * MAX_FRAME, "x" * (MAX_FRAME - 30), "\0" * MAX_FRAME, "", "𝄞" * MAX_FRAME]
)
@pytest.mark.parametrize(("frames_of", "kind"), [(reply_frames, "result"), (error_frames, "error")])
def test_a_large_reply_comes_whole_in_frames_of_bounded_size(content, frames_of, kind):
    frames = list(frames_of(7, content))
    assert all(len(frame) <= MAX_FRAME and frame.endswith(b"\n") for frame in frames)
    messages = [decode(frame) for frame in frames]
    assert all(message["id"] == 7 for message in messages)
    if len(messages) == 1:
        assert messages[0][kind] == content
    else:
        assert messages[-1] == {"id": 7, "parts": len(messages) - 1, "of": kind}
        assert json.loads("".join(message["part"] for message in messages[:-1])) == content
