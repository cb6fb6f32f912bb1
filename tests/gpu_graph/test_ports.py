"""Ports with real sockets: which is free, whose process listens, and what an HTTP server says."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys

import pytest

from gpu_graph.ports import answers, choose_port, listeners
from gpu_graph.process import ATTEMPT_VARIABLE

HOLDER = """
import socket, sys
open_sockets = []
for address in sys.argv[1:]:
    host, port = address.rsplit("@", 1)
    line = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if ":" in host:
        line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::ffff:127.0.0.1")
    line.bind((host, int(port)))
    line.listen()
    open_sockets.append(line)
print("listening", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hold():
    """Starts a process of an attempt that listens on these addresses, each with the port; returns when it does."""
    started: list[subprocess.Popen[bytes]] = []

    def start(attempt: str, port: int, *hosts: str) -> None:
        words = [f"{host}@{port}" for host in hosts]
        environment = {**os.environ, ATTEMPT_VARIABLE: attempt}
        pipe = subprocess.PIPE
        child = subprocess.Popen([sys.executable, "-c", HOLDER, *words], env=environment, stdin=pipe, stdout=pipe)
        started.append(child)
        assert child.stdout is not None
        if child.stdout.readline() != b"listening\n":
            pytest.skip("this system cannot listen on " + ", ".join(hosts))

    yield start
    for child in started:
        child.communicate(b"")


def test_a_port_that_a_service_had_is_given_again_while_nobody_listens_there():
    port = choose_port(None, ())
    assert choose_port(port, ()) == port
    with socket.create_server(("127.0.0.1", port)):
        assert choose_port(port, ()) != port
    assert choose_port(None, set(range(65536)) - {25_000}) == 25_000, "the only one that is not taken"


def test_nobody_listens():
    found = listeners(choose_port(None, ()), "r/judge/1")
    assert (found.own, found.exposed, found.foreign) == (False, (), False)


@pytest.mark.parametrize(
    ("hosts", "own", "exposed"),
    [
        (["127.0.0.1"], True, ()),
        (["127.0.0.1", "::1"], True, ()),
        (["::ffff:127.0.0.1"], True, ()),
        (["::1"], False, ()),
        (["0.0.0.0"], False, ("0.0.0.0",)),
        (["::"], False, ("::",)),
        (["127.0.0.1", "::"], True, ("::",)),
    ],
)
def test_who_listens_where(hold, hosts, own, exposed):
    port = choose_port(None, ())
    hold("r/judge/1", port, *hosts)
    mine, other = listeners(port, "r/judge/1"), listeners(port, "r/judge/2")
    assert (mine.own, mine.exposed, mine.foreign) == (own, exposed, False)
    assert (other.own, other.exposed, other.foreign) == (False, (), True)


@pytest.mark.parametrize(
    ("reply", "good"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.0 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", False),
        (b"HTTP/1.1 302 Found\r\n\r\n", False),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"HTTP/1.1 2\r\n\r\n", False),
        (b"SSH-2.0-OpenSSH\r\n", False),
        (b"x" * 100_000, False),
        (b"\r\n", False),
        (b"", False),
        (None, False),
    ],
)
async def test_only_a_status_of_2xx_in_time_is_an_answer(reply, good):
    asked = []

    async def serve(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        if reply is not None:  # else it says nothing, and does not hang up
            writer.write(reply)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await answers(port, "/health?x=1", "key-1", seconds=20 if reply is not None else 0.2) is good
    server.close()
    assert asked[0].startswith(b"GET /health?x=1 HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer key-1\r\n" in asked[0]


async def test_where_nobody_listens_there_is_no_answer():
    assert not await answers(choose_port(None, ()), "/", None, seconds=20)
