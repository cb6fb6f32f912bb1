"""`tiller data get caa` from a server on this machine: whole, verified, resumable, and one sentence when it fails."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engine.data_making.cli import main
from engine.data_making.download import fetch
from engine.data_making.published import CAA, PublishedFile
from engine.errors import EngineError, InputError

SEEDS = Path(__file__).parents[4] / "shared" / "data" / "caa"
published = pytest.mark.skipif(not SEEDS.is_dir(), reason="the published data do not lie beside the checkout")
TINY = {f"part/{name}.json": f'["{name}"]'.encode() for name in ("one", "two", "three")}
FILES = [PublishedFile(path, "c0ffee", hashlib.sha256(content).hexdigest()) for path, content in TINY.items()]


class Mirror(ThreadingHTTPServer):
    """Serves /<commit>/datasets/<path>: the published files, and three of our own. `wrong` files end in another byte, `broken`
    ones stop half-way."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: Counter[str] = Counter()
        self.wrong: set[str] = set()
        self.broken: set[str] = set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        commit, _, path = self.path.removeprefix("/").partition("/datasets/")
        self.server.asked[path] += 1
        if (path, commit) not in {(file.path, file.commit) for file in (*CAA, *FILES)}:
            self.send_error(404)
            return
        content = TINY[path] if path in TINY else (SEEDS / path).read_bytes()
        if path in self.server.wrong:
            content = content[:-1] + b"}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if path in self.server.broken else content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror():
    server = Mirror()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def get(capsys, mirror: Mirror, *argv: str) -> tuple[int, str, str]:
    status = main(["get", "caa", "--source", mirror.url, *argv])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return status, out, err


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@published
def test_the_sets_come_whole_and_are_what_steering_reads(workspace, mirror, capsys):
    from engine.steering.data import load_data

    status, out, _ = get(capsys, mirror)
    assert status == 0
    assert "23 files fetched" in out
    folder = workspace / "datasets/caa"
    assert files(folder) == {file.path for file in CAA} | {"caa.provenance.json"}
    assert all((folder / file.path).read_bytes() == (SEEDS / file.path).read_bytes() for file in CAA)
    data = load_data(str(folder), "refusal", "ab", 50)
    sizes = [len(examples) for examples in data.contrast.classes.values()]
    assert (sizes, len(data.test.items), len(data.test.prompts)) == ([353, 353], 50, 50)
    assert get(capsys, mirror)[1].startswith("get caa: 0 files fetched, 23 were there")
    assert max(mirror.asked.values()) == 1
    notes = [json.loads(line) for line in (workspace / "made").read_text().splitlines()]
    assert {note["kind"] for note in notes} == {"dataset"}


@published
def test_a_file_of_another_hash_is_not_kept(workspace, mirror, capsys):
    mirror.wrong.add(CAA[3].path)
    status, _, err = get(capsys, mirror)
    assert status == 1
    assert "is not the published file" in err
    assert CAA[3].sha256 in err
    assert files(workspace / "datasets/caa") == {file.path for file in CAA[:3]}


@published
def test_a_download_that_breaks_off_goes_on_with_the_same_command(workspace, mirror, capsys):
    mirror.broken.add(CAA[5].path)
    status, _, err = get(capsys, mirror)
    assert status == 1
    assert "broke off after" in err
    assert "5 of 23 files are there" in err
    assert files(workspace / "datasets/caa") == {file.path for file in CAA[:5]}
    mirror.broken.clear()
    assert get(capsys, mirror)[0] == 0
    assert mirror.asked == {file.path: 1 + (file == CAA[5]) for file in CAA}


@published
def test_a_file_with_other_contents_is_left_alone(workspace, mirror, capsys, tmp_path):
    mine = tmp_path / "mine" / CAA[0].path
    mine.parent.mkdir(parents=True)
    mine.write_text("[]")
    status, _, err = get(capsys, mirror, "--to", str(tmp_path / "mine"))
    assert status == 2
    assert "--overwrite" in err
    assert mine.read_text() == "[]"
    assert not mirror.asked
    assert get(capsys, mirror, "--to", str(tmp_path / "mine"), "--overwrite")[0] == 0
    assert mine.read_bytes() == (SEEDS / CAA[0].path).read_bytes()


def test_without_a_network_it_is_one_sentence(workspace, mirror, capsys):
    mirror.server_close()
    status, _, err = get(capsys, mirror)
    assert status == 1
    assert "cannot be reached" in err
    assert "where there is a network" in err
    status = main(["get", "caa", "--source", "nowhere"])
    assert status == 2
    assert "is no address" in capsys.readouterr().err


def test_a_server_that_does_not_have_it_is_named(workspace, mirror, capsys):
    status, _, err = get(capsys, mirror, "--source", f"{mirror.url}/elsewhere")
    assert status == 1
    assert "HTTP 404" in err


def test_fetching_verifies_and_goes_on(tmp_path, mirror):
    mirror.wrong.add(FILES[2].path)
    with pytest.raises(EngineError, match="is not the published file"):
        fetch(FILES, mirror.url, tmp_path, overwrite=False)
    assert files(tmp_path) == {file.path for file in FILES[:2]}
    mirror.wrong.clear()
    mirror.broken.add(FILES[2].path)
    with pytest.raises(EngineError, match=r"broke off after 4 bytes.*2 of 3 files are there"):
        fetch(FILES, mirror.url, tmp_path, overwrite=False)
    mirror.broken.clear()
    assert fetch(FILES, mirror.url, tmp_path, overwrite=False) == 1
    assert {path: (tmp_path / path).read_bytes() for path in TINY} == TINY
    assert mirror.asked == {FILES[0].path: 1, FILES[1].path: 1, FILES[2].path: 3}
    (tmp_path / FILES[0].path).write_text("mine")
    with pytest.raises(InputError, match="--overwrite"):
        fetch(FILES, mirror.url, tmp_path, overwrite=False)
    assert (tmp_path / FILES[0].path).read_text() == "mine"
    assert fetch(FILES, mirror.url, tmp_path, overwrite=True) == 1
