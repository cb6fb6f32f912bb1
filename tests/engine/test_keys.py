"""Keys: where they are found, who gets them, and that they are seen nowhere else."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from engine.keys import HIDDEN, find_key, key, key_for, scrub

NAME = "OPENAI_API_KEY"


@pytest.fixture
def places(tmp_path, monkeypatch):
    """An empty environment, workspace and home."""
    workspace, home = tmp_path / "ws", tmp_path / "home"
    (home / ".config" / "tiller").mkdir(parents=True)
    workspace.mkdir()
    (workspace / "tiller.toml").touch()
    for name in (NAME, "OPEN_AI_KEY", "HF_TOKEN", "TILLER_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(workspace)
    return workspace / ".env", home / ".config" / "tiller" / "keys.env"


def write(path, text: str, mode: int = 0o600) -> None:
    path.write_text(text)
    path.chmod(mode)


def test_the_environment_comes_before_the_workspace_and_that_before_the_private_file(places, monkeypatch):
    workspace, private = places
    write(private, f"{NAME}=from-private\n")
    assert key(NAME) == "from-private"
    write(workspace, f"{NAME}=from-workspace\n")
    assert key(NAME) == "from-workspace"
    monkeypatch.setenv(NAME, " from-environment\n")
    assert key(NAME) == "from-environment"


def test_the_seeds_name_of_the_key_is_read_too(places, monkeypatch):
    workspace, _ = places
    write(workspace, "OPEN_AI_KEY=old-name\n")
    assert key(NAME) == "old-name"
    write(workspace, f"OPEN_AI_KEY=old-name\n{NAME}=new-name\n")
    assert key(NAME) == "new-name"
    assert find_key("HF_TOKEN") is None


def test_a_dollar_in_a_key_is_part_of_it(places):
    workspace, _ = places
    write(workspace, f'{NAME}="a$HOME${{HOME}}b"\n')
    assert key(NAME) == "a$HOME${HOME}b"


def test_an_empty_key_is_none(places, monkeypatch):
    workspace, _ = places
    monkeypatch.setenv(NAME, "")
    write(workspace, f"{NAME}=\n")
    assert find_key(NAME) is None


def test_a_missing_key_is_one_sentence_with_the_places_and_the_mend(places):
    workspace, private = places
    with pytest.raises(InputError) as error:
        key(NAME)
    message = str(error.value)
    assert all(word in message for word in (NAME, "OPEN_AI_KEY", "the environment", str(workspace), str(private), "export"))


def test_keys_are_found_outside_a_workspace(places, monkeypatch):
    _, private = places
    monkeypatch.chdir("/")
    write(private, f"{NAME}=from-private\n")
    assert key(NAME) == "from-private"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_private_file_that_others_can_read_is_refused_with_the_mend(places, mode):
    _, private = places
    write(private, f"{NAME}=x\n", mode)
    with pytest.raises(InputError, match=f"chmod 600 {private}"):
        key(NAME)


def test_a_workspace_file_that_others_can_read_is_noticed_once(places, capsys):
    workspace, _ = places
    write(workspace, f"{NAME}=not-to-be-shown\n", 0o644)
    assert key(NAME) == key(NAME) == "not-to-be-shown"
    said = capsys.readouterr().err
    assert said.count("chmod 600") == 1
    assert "not-to-be-shown" not in said


@pytest.mark.parametrize("value", ["with space", "two\nlines", "schlüssel"])
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(places, monkeypatch, value):
    monkeypatch.setenv(NAME, value)
    with pytest.raises(InputError, match=NAME) as error:
        key(NAME)
    assert value not in str(error.value)


def test_a_server_on_this_machine_needs_no_key_and_is_not_sent_the_default_one(places, monkeypatch):
    monkeypatch.setenv(NAME, "worth-money")
    for host in ("127.0.0.1:8000", "localhost", "[::1]:8000"):
        assert "worth-money" not in key_for(f"http://{host}/v1", NAME)
    assert key_for("https://example.org/v1", NAME) == "worth-money"
    monkeypatch.setenv("TILLER_KEY_JUDGE", "of-the-service")
    assert key_for("http://127.0.0.1:8000/v1", "TILLER_KEY_JUDGE") == "of-the-service"


@pytest.mark.parametrize("url", ["http://127.0.0.1.example.org/v1", "http://localhost@example.org/v1", "http://10.0.0.1/v1"])
def test_an_address_that_only_looks_like_this_machine_needs_a_key(places, url):
    with pytest.raises(InputError, match=NAME):
        key_for(url, NAME)


@given(
    st.text(max_size=50),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40),
    st.text(max_size=50),
)
def test_a_scrubbed_text_does_not_hold_the_key(before, secret, after):
    scrubbed = scrub(before + secret + after, secret)
    assert secret not in scrubbed or secret in HIDDEN + after + before
    assert HIDDEN in scrubbed


def test_the_hub_is_asked_with_the_token_of_the_workspace(places):
    workspace, _ = places
    write(workspace, "HF_TOKEN=hf_of_the_workspace\n")
    seen: dict[str, str | None] = {}

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen[self.path] = self.headers.get("Authorization")
            self.send_error(404)

        def log_message(self, format, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        code = "from engine.identity import resolve_model\nresolve_model('some/model')"
        environment = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HUB_OFFLINE": "0"}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        server.shutdown()
    assert seen["/api/models/some/model"] == "Bearer hf_of_the_workspace"
    assert "The hub has no model some/model" in done.stderr
    assert "hf_of_the_workspace" not in done.stderr
