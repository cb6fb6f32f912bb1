"""Many completions at a time, against a real server on loopback that is slow, full, faulty, restarted or not there."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator

import pytest
from chat_server import ChatServer
from waiting import until

from engine.data import Message
from engine.errors import EngineError, InputError
from engine.keys import HIDDEN
from engine.remote.client import only_model, replies
from engine.remote.types import Endpoint, Request, Usage

SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}}
SECRET = "sk-never-to-be-seen"


def endpoint(server: ChatServer, **options) -> Endpoint:
    return Endpoint(server.url, "test-model", **{"timeout": 5.0, "deadline": 30.0, "concurrency": 8} | options)


def asked(*texts: str, **options) -> Iterator[Request]:
    return (Request((Message("user", text),), 10, **options) for text in texts)


def numbered(count: int) -> Iterator[Request]:
    return asked(*(f"question {index}" for index in range(count)))


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "completions"]


def test_with_a_fifth_of_the_tries_failing_all_of_200_in_flight_end_in_their_own_reply():
    usage = Usage(price_in=1.0, price_out=2.0)
    with ChatServer(delay=0.05, faults=0.2, seed=1) as server:
        found = dict(replies(endpoint(server, concurrency=200, timeout=1.0), numbered(400), usage))
    assert {index: reply.text for index, reply in found.items()} == {index: f"said: question {index}" for index in range(400)}
    assert server.counts.max_in_flight <= 200
    assert usage.tries == sum(reply.tries for reply in found.values()) == 400 + sum(usage.errors.values())
    assert 400 < server.counts.requests <= usage.tries  # on a busy machine a try can time out before it is sent
    assert set(usage.errors) == {"429", "500", "timeout", "garbage", "connection"}
    assert (usage.replies, usage.failed) == (400, 0)
    assert (usage.prompt_tokens, usage.completion_tokens) == (800, 1200)
    assert usage.cost == pytest.approx((800 * 1.0 + 1200 * 2.0) / 1e6)


def test_as_many_requests_are_out_as_may_be_and_never_more():
    def let_go():
        until(lambda: server.counts.in_flight == 200, "200 requests are out")
        server.faults = 0.0
        server.stop()
        server.start()

    release = threading.Thread(target=let_go)
    with ChatServer(faults=1.0, kinds=["hang"]) as server:
        release.start()
        found = dict(replies(endpoint(server, concurrency=200, timeout=30.0), numbered(500), Usage()))
        release.join()
    assert all(reply.text is not None for reply in found.values())
    assert server.counts.max_in_flight == 200


def test_requests_are_taken_as_they_are_needed():
    taken = 0

    def requests():
        nonlocal taken
        for request in numbered(60):
            taken += 1
            yield request

    with ChatServer() as server:
        for yielded, _ in enumerate(replies(endpoint(server, concurrency=5), requests(), Usage()), start=1):
            assert taken - yielded < 5
    assert taken == 60
    assert server.counts.max_in_flight <= 5


@pytest.mark.parametrize(
    ("kind", "reason"), [("hang", "no reply to one try"), ("500", "500"), ("garbage", "tries"), ("429", "429")]
)
def test_a_request_ends_as_failed_at_its_deadline_or_after_enough_nonsense(kind, reason):
    usage = Usage()
    with ChatServer(faults=1.0, kinds=[kind], retry_after="3400") as server:
        patient = endpoint(server, timeout=0.2, deadline=30.0 if kind == "garbage" else 1.5)
        [(_, reply)] = replies(patient, numbered(1), usage)
    assert reply.text is None
    assert reason in (reply.error or "")
    assert (usage.replies, usage.failed) == (0, 1)
    assert 1 <= server.counts.requests <= usage.tries
    assert usage.tries == 1 if kind == "429" else usage.tries > 1  # "come back in an hour" is no reason to come back before


def test_a_refused_key_stops_everything_with_one_sentence_that_does_not_hold_it(monkeypatch, caplog):
    monkeypatch.setenv("TILLER_KEY_TEST", SECRET)
    with (
        ChatServer(key="another", delay=0.1) as server,
        pytest.raises(EngineError, match=r"127\.0\.0\.1.*401.*Incorrect API key.*TILLER_KEY_TEST") as caught,
    ):
        list(replies(endpoint(server, key_env="TILLER_KEY_TEST"), numbered(500), Usage()))
    assert HIDDEN in str(caught.value)
    assert SECRET not in "".join(map(str, (caught.value, caught.value.__context__, caught.value.__cause__)))
    assert server.counts.requests <= 8
    assert not threads()
    gc.collect()
    assert not caplog.records, "the same error of the other requests in flight is not told again"


def test_a_key_that_the_server_wants_is_sent_and_never_comes_back_in_a_reply(monkeypatch):
    monkeypatch.setenv("TILLER_KEY_TEST", SECRET)
    with ChatServer(key=SECRET, answer=lambda _: f"your key is {SECRET}") as server:
        found = dict(replies(endpoint(server, key_env="TILLER_KEY_TEST"), numbered(1), Usage()))
    assert found[0].text == f"your key is {HIDDEN}"


def test_an_unknown_model_stops_everything():
    with ChatServer(models=["other-model"]) as server, pytest.raises(EngineError, match=r"404.*test-model does not exist"):
        list(replies(endpoint(server), numbered(500), Usage()))
    assert server.counts.requests <= 8


def test_what_the_server_refuses_of_one_request_fails_that_one_only_and_is_not_repeated():
    usage = Usage()
    with ChatServer(longest=20) as server:
        found = dict(replies(endpoint(server), asked("short", "far too long for this server", "brief"), usage))
    assert [found[index].text for index in range(3)] == ["said: short", None, "said: brief"]
    assert "400 (the context is at most 20 letters)" in (found[1].error or "")
    assert (server.counts.requests, usage.errors) == (3, {"400": 1})


def test_a_server_without_schemas_is_asked_without_from_then_on(capsys):
    texts = [f"question {index}" for index in range(40)]
    with ChatServer(takes_schema=False, bodies=[]) as server:
        found = dict(replies(endpoint(server, concurrency=4), asked(*texts, schema=SCHEMA), Usage()))
    assert [found[index].text for index in range(40)] == [f"said: {text}" for text in texts]
    assert sum("response_format" in body for body in server.bodies or ()) <= 8
    assert capsys.readouterr().err.count("takes no reply schema") == 1


def test_a_schema_is_sent_and_one_request_refused_for_another_reason_does_not_end_that():
    with ChatServer(longest=20, bodies=[]) as server:
        found = dict(
            replies(endpoint(server, concurrency=1), asked("far too long for this server", "a", schema=SCHEMA), Usage())
        )
    assert [found[0].text, found[1].text] == [None, "said: a"]
    assert (server.bodies or [])[-1]["response_format"]["json_schema"]["schema"] == SCHEMA


@pytest.mark.parametrize(("structured", "text"), [("on", None), ("off", "said: a")])
def test_schemas_can_be_insisted_on_or_left_out(structured, text):
    with ChatServer(takes_schema=False) as server:
        found = dict(replies(endpoint(server, structured=structured), asked("a", schema=SCHEMA), Usage()))
    assert found[0].text == text
    assert server.counts.requests == 1


def test_a_server_that_has_a_newer_name_for_the_limit_of_tokens_is_asked_by_that():
    with ChatServer(limit="max_completion_tokens", bodies=[]) as server:
        found = dict(replies(endpoint(server, concurrency=1), asked("a", "b", schema=SCHEMA), Usage()))
    assert [found[0].text, found[1].text] == ["said: a", "said: b"]
    assert [body.get("max_completion_tokens") for body in server.bodies or ()] == [None, 10, 10]
    assert "response_format" in (server.bodies or [])[-1]


def test_a_server_that_is_restarted_is_waited_for(capsys):
    usage = Usage()

    def requests():
        yield from asked("before")
        server.stop()
        restart.start()
        yield from asked("after")

    def start_again():
        until(lambda: usage.errors.get("unreachable"), "the client has found nobody there")
        server.start()

    restart = threading.Thread(target=start_again)
    with ChatServer() as server:
        found = dict(replies(endpoint(server, concurrency=1), requests(), usage))
        restart.join()
    assert [found[0].text, found[1].text] == ["said: before", "said: after"]
    assert capsys.readouterr().err.count("out of reach") == 1


@pytest.mark.parametrize("limits", [{"deadline": 0.5}, {"deadline": 600.0, "patience": 0.5}])
def test_a_server_that_is_never_there_ends_everything_long_before_a_deadline_for_slow_ones(limits):
    with ChatServer() as server:
        gone = endpoint(server, **limits)
    with pytest.raises(EngineError, match=r"was not reached for [\d.]+ s"):
        list(replies(gone, numbered(100), Usage()))
    assert not threads()


def test_closing_the_generator_ends_what_is_out():
    with ChatServer(faults=0.5, kinds=["hang"]) as server:
        generator = replies(endpoint(server), numbered(100), Usage())
        next(generator)
        generator.close()
        until(lambda: server.counts.in_flight == 0, "the server sees its clients gone")
        assert not threads()


def test_an_error_of_who_makes_the_requests_ends_what_is_out():
    def requests():
        yield from asked("a", "b")
        raise ValueError("no more")

    with ChatServer(faults=1.0, kinds=["hang"]) as server:
        with pytest.raises(ValueError, match="no more"):
            list(replies(endpoint(server), requests(), Usage()))
        until(lambda: server.counts.in_flight == 0, "the server sees its clients gone")


def test_ctrl_c_ends_what_is_out():
    code = """
        import sys
        from engine.data import Message
        from engine.remote.client import replies
        from engine.remote.types import Endpoint, Request, Usage
        endless = (Request((Message("user", str(number)),), 10) for number in range(10**9))
        try:
            for _ in replies(Endpoint(sys.argv[1], "test-model", concurrency=8), endless, Usage()):
                pass
        except KeyboardInterrupt:
            print("stopped")
    """
    with ChatServer(faults=0.1, kinds=["hang"]) as server:
        child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), server.url], stdout=subprocess.PIPE, text=True)
        until(lambda: server.counts.answered >= 20, "the client is at work")
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=30) == ("stopped\n", None)
        assert child.returncode == 0
        until(lambda: server.counts.in_flight == 0, "the server sees its client gone")


def test_no_proxy_stands_between_us_and_a_server_on_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with ChatServer() as server:
        found = dict(replies(endpoint(server, deadline=2.0), numbered(1), Usage()))
        assert only_model(endpoint(server)) == "test-model"
    assert found[0].text == "said: question 0"


def test_sampling_is_sent_as_asked():
    with ChatServer(bodies=[]) as server:
        list(replies(endpoint(server, concurrency=1), asked("a", temperature=0.7, seed=3), Usage()))
        list(replies(endpoint(server, concurrency=1), asked("a"), Usage()))
    first, second = server.bodies or []
    assert (first["temperature"], first["seed"], first["max_tokens"]) == (0.7, 3, 10)
    assert second["temperature"] == 0.0
    assert "seed" not in second


def test_an_endpoint_without_a_model_asks_for_the_only_one():
    with ChatServer(models=["the-one"], bodies=[]) as server:
        dict(replies(Endpoint(server.url, ""), numbered(1), Usage()))
    assert (server.bodies or [])[0]["model"] == "the-one"


@pytest.mark.parametrize(("models", "listed"), [(["one", "two"], r"2 models \(one, two\)"), ([], "no model")])
def test_which_of_several_models_is_not_guessed(models, listed):
    with ChatServer(models=models) as server, pytest.raises(InputError, match=listed):
        only_model(Endpoint(server.url, ""))


def test_asking_for_the_model_says_what_is_wrong():
    with ChatServer(key="another") as server, pytest.raises(EngineError, match="401"):
        only_model(Endpoint(server.url, ""))
    with pytest.raises(EngineError, match="could not be asked for its models"):
        only_model(Endpoint(server.url, ""))


@pytest.mark.parametrize("url", ["localhost:8000/v1", "http://", "http://127.0.0.1:port/v1", "ftp://example.org/v1", ""])
def test_what_is_no_address_is_refused_before_anything_is_sent(url):
    with pytest.raises(InputError, match="no address of a server"):
        replies(Endpoint(url, "test-model"), numbered(1), Usage())


def test_requests_per_minute_hold_for_every_try():
    with ChatServer(faults=0.2, kinds=["500"], seed=2) as server:
        began = time.monotonic()
        usage = Usage()
        list(replies(endpoint(server, requests_per_minute=1200), numbered(24), usage))
    assert usage.tries > 24
    assert time.monotonic() - began >= (usage.tries - 20) / 20 - 0.01  # a second's worth at once, the rest at the rate


@pytest.mark.slow
def test_memory_is_flat_over_50_000_requests():
    code = """
        import os, sys
        from engine.data import Message
        from engine.remote.client import replies
        from engine.remote.types import Endpoint, Request, Usage
        endless = (Request((Message("user", f"{number} " + "word " * 200),), 10) for number in range(50_000))
        for count, _ in enumerate(replies(Endpoint(sys.argv[1], "test-model", concurrency=200), endless, Usage()), start=1):
            if count in (10_000, 50_000):
                print(int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    """
    with ChatServer(faults=0.2, kinds=["429", "500", "garbage", "drop"]) as server:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), server.url], capture_output=True, text=True, check=True
        )
    early, late = map(int, done.stdout.split())
    assert late - early < 10 * 2**20
