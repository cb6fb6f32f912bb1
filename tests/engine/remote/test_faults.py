"""What is read out of replies and failures: always one of three meanings, whatever a server sends."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.remote.faults import Passing, Refused, read_completion, read_failure
from engine.remote.types import Endpoint

ENDPOINT = Endpoint("https://user:password@example.org/v1", "test-model")
SECRET = "sk-never-to-be-seen"
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "usage", "finish_reason", "refusal"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


def body(content, finish="stop", **message) -> bytes:
    choice = {"message": {"content": content, **message}, "finish_reason": finish}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}).encode()


def failure(status: int, said: str = "busy", code: str | None = None, **headers: str) -> Passing | Refused | EngineError:
    request = httpx2.Request("POST", "https://example.org/v1/chat/completions")
    response = httpx2.Response(status, headers=headers, request=request)
    error = openai.APIStatusError(said, response=response, body={"message": said, "code": code})
    return read_failure(error, ENDPOINT, SECRET)


@given(st.binary(max_size=60) | anything.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_text_or_a_fault(content):
    reply, fault = read_completion(content, SECRET)
    assert isinstance(reply.text, str) == (fault is None)
    assert isinstance(reply.prompt_tokens, int)


def test_a_reply_is_its_text_with_what_the_server_counted():
    reply, fault = read_completion(body("yes"), SECRET)
    assert fault is None
    assert (reply.text, reply.finish, reply.prompt_tokens, reply.completion_tokens) == ("yes", "stop", 3, 2)


def test_half_a_surrogate_pair_does_not_get_further():
    text = read_completion(body("an \ud83d end"), SECRET)[0].text
    assert text == "an ? end"
    assert read_completion(body("a whole \U0001f600"), SECRET)[0].text == "a whole \U0001f600"


def test_an_empty_text_is_a_reply():
    assert read_completion(body(""), SECRET)[0].text == ""


@pytest.mark.parametrize(
    ("content", "meaning"),
    [
        (body(None), Passing),
        (body(None, "length"), Refused),
        (body(None, "content_filter"), Refused),
        (body(None, refusal="I will not"), Refused),
        (b'{"choices": []}', Passing),
        (b"<html>", Passing),
        (b"\xff", Passing),
    ],
)
def test_a_reply_without_text_is_tried_again_unless_it_would_end_the_same(content, meaning):
    assert isinstance(read_completion(content, SECRET)[1], meaning)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        *((status, Passing) for status in (408, 409, 425, 429, 500, 502, 503)),
        *((status, Refused) for status in (304, 400, 413, 422)),
        *((status, EngineError) for status in (401, 402, 403, 404)),
    ],
)
def test_a_status_passes_or_is_the_requests_own_or_would_meet_every_request(status, meaning):
    assert isinstance(failure(status), meaning)


def test_a_used_up_quota_does_not_pass():
    assert isinstance(failure(429, code="insufficient_quota"), EngineError)


@given(st.floats(0, 1e6))
def test_seconds_of_retry_after_are_read(seconds):
    fault = failure(429, **{"Retry-After": str(seconds)})
    assert isinstance(fault, Passing)
    assert fault.retry_after == seconds


def test_milliseconds_and_dates_of_retry_after_are_read():
    soon = failure(503, **{"retry-after-ms": "1500", "Retry-After": "9"})
    later = failure(503, **{"Retry-After": format_datetime(datetime.now(UTC) + timedelta(hours=1))})
    assert isinstance(soon, Passing)
    assert isinstance(later, Passing)
    assert soon.retry_after == 1.5
    assert 3500 < (later.retry_after or 0) <= 3600


@pytest.mark.parametrize("said", ["soon", "", "nan", "inf", "-3", "Wed, 99 Foo"])
def test_a_retry_after_that_says_nothing_is_none(said):
    fault = failure(429, **{"Retry-After": said})
    assert isinstance(fault, Passing)
    assert fault.retry_after is None


@given(st.sampled_from([400, 401, 404, 429, 500]), st.text(max_size=20), st.text(max_size=20))
def test_what_a_server_says_is_one_printable_line_without_the_key(status, before, after):
    said = str(failure(status, f"{before}\x1b[31m\n{SECRET}{after}"))
    assert said.isprintable()
    assert SECRET not in said


def test_the_name_and_password_of_an_address_are_not_shown():
    said = str(failure(401))
    assert "example.org/v1" in said
    assert "password" not in said
