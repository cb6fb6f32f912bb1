"""An assistant in this process answers each request as it is put: by its own temperature, length and seed."""

from __future__ import annotations

import pytest

from engine.assistants.assistant import open_assistant
from engine.assistants.settings import AssistantSettings
from engine.data import Message
from engine.errors import InputError
from engine.remote.types import Request

CHAT = (Message("user", "Tell me about trains, a kind of vehicle."),)


@pytest.fixture(scope="module")
def assistant():
    return open_assistant(AssistantSettings(assistant="demo", temperature=1.0, max_tokens=40))


def said(assistant, *requests: Request) -> list[str]:
    replies = dict(assistant.replies(requests))
    return [replies[index].text for index in range(len(requests))]


def test_a_verdict_is_the_likeliest_text_however_the_assistant_draws_otherwise(assistant):
    """A judge asks at temperature 0; what an assistant proposes is drawn at 1."""
    first, *others = said(assistant, *(Request(CHAT, 24, 0.0, seed) for seed in range(6)))
    assert set(others) == {first}
    assert len(set(said(assistant, *(Request(CHAT, 24, 1.0, seed) for seed in range(6))))) > 1


def test_no_reply_is_longer_than_its_request_allows(assistant):
    requests = [Request(CHAT, tokens, 1.0, 3) for tokens in (2, 16, 4)]
    replies = dict(assistant.replies(requests))
    assert [replies[index].completion_tokens for index in range(3)] == [2, 16, 4]
    assert [replies[index].finish for index in (0, 2)] == ["length", "length"]


def test_requests_do_not_change_each_others_replies(assistant):
    requests = [Request(CHAT, 12, heat, seed) for seed, heat in enumerate((1.0, 0.0, 1.0, 0.5))]
    assert said(assistant, *requests) == [text for request in requests for text in said(assistant, request)]


def test_a_request_that_is_too_long_for_the_model_is_refused(assistant):
    with pytest.raises(InputError, match="allow shorter replies"):
        list(assistant.replies([Request(CHAT, 8, 0.0), Request(CHAT, 100_000, 0.0)]))
