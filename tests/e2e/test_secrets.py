"""Keys from every place that tiller takes them from, through a whole run: they open the right doors and are seen nowhere.

Every file that the run leaves is searched, and while it lives the command line of every process.
"""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from pathlib import Path

from chat_server import ChatServer

from gpu_graph import Graph

FROM_ENVIRONMENT = "sk-env-7f3a90c1e5b24d68"
FROM_FILE = "sk-dotenv-2b9d04e7c1a85f36"
REFUSED = "sk-refused-58c0a1f2e3d4b697"
SERVERS = Path(__file__).parents[1] / "servers"

SERVICE = """
import asyncio, os, sys
from chat_server import ChatServer

server = ChatServer(port=int(sys.argv[1]), key=os.environ["DEMO_API_KEY"], answer=lambda body: "yes")
asyncio.run(server.serve(lambda: None, asyncio.Event()))
"""


def check(*words: str) -> list[str]:
    """A command that asks a server about a few known cases."""
    return ["tiller", "judge", "check", "--rubric", "refusal-yes-no", *words]


def judged(graph: Graph, bench, first: str, second: str) -> None:
    """A service with a key of its own, and tasks with keys from all places; `stay` keeps the run alive until `go` exists."""
    (bench.work / "service.py").write_text(SERVICE)
    serve = ["python", "service.py", "@{port}"]
    judge = graph.service("judge", serve, key_env="DEMO_API_KEY", gpus=0, env={"PYTHONPATH": str(SERVERS)})
    graph.shell("of_service", check("--judge", "@{judge.url}/v1", "--judge-key", "TILLER_KEY_JUDGE"), after=[judge], gpus=0)
    graph.shell("stay", "until test -e go; do sleep 0.05; done", after=[judge], gpus=0)
    mine = {"gpus": 0, "env_from": ["MY_API_KEY", "OTHER_API_KEY"]}
    graph.shell("of_environment", check("--judge", first, "--judge-key", "MY_API_KEY"), **mine)
    graph.shell("turned_away", check("--judge", first, "--judge-key", "OTHER_API_KEY"), **mine)
    graph.shell("of_file", check("--judge", second, "--judge-key", "FILE_API_KEY"), gpus=0)


def files_with(secret: str, *roots: Path) -> list[Path]:
    files = [path for root in roots for path in root.rglob("*") if path.is_file()]
    return [path for path in files if secret.encode() in path.read_bytes()]


def command_lines() -> bytes:
    lines: list[bytes] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            lines.append(path.read_bytes())
    return b"\n".join(lines)


def test_no_key_is_in_any_file_or_command_line_of_a_judged_run(bench, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", FROM_ENVIRONMENT)
    monkeypatch.setenv("OTHER_API_KEY", REFUSED)
    kept = bench.work / ".env"
    kept.write_text(f"FILE_API_KEY={FROM_FILE}\n")
    kept.chmod(0o600)
    graph, seen = Graph("judged"), b""
    with (
        ChatServer(key=FROM_ENVIRONMENT, answer=lambda _: "yes") as first,
        ChatServer(key=FROM_FILE, answer=lambda _: "yes") as second,
    ):
        judged(graph, bench, first.url, second.url)
        run = bench.submit(graph)

        def states() -> dict[str, str]:
            nonlocal seen
            seen += command_lines()
            return bench.states(run)

        asking = {"of_service", "of_environment", "turned_away", "of_file"}
        bench.until(lambda: not {"waiting", "starting", "running"} & {states()[name] for name in asking}, "all have asked")
        logs = {name: (bench.folder(run) / name / "1.log").read_text() for name in asking}
        assert {name for name, log in logs.items() if "questions 36/36" in log} == asking - {"turned_away"}
        assert "[key]" in logs["turned_away"], "a server's complaint repeats the key, and is shown without it"
        [of_service] = {said["DEMO_API_KEY"] for said in bench.processes().values() if "DEMO_API_KEY" in said}
        private = files_with(FROM_ENVIRONMENT, bench.state)
        assert private, "the run's environment is kept while it lives"
        assert {path.stat().st_mode & 0o777 for path in (*private, bench.state / "service-secret")} == {0o600}
        assert bench.state.stat().st_mode & 0o777 == 0o700
        status = bench.tiller("status", run, "--json").stdout
        (bench.work / "go").touch()
        bench.ended(run)
    bench.until(lambda: not list((bench.state / "active").iterdir()), "its environment is forgotten")
    for secret in (FROM_ENVIRONMENT, FROM_FILE, REFUSED, of_service):
        assert secret.encode() not in seen + status.encode()
        assert files_with(secret, bench.work, bench.state) == ([kept] if secret == FROM_FILE else [])


def test_the_diff_that_is_kept_with_a_run_leaves_out_the_files_of_keys(bench):
    def git(*words: str) -> None:
        who = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *words], check=True, capture_output=True)

    files = [Path(name) for name in (".env", "sub/.env", ".env.local", "sub/judge.env", "sub/code.py")]
    Path("sub").mkdir()
    for path in files:
        path.write_text("before\n")
    git("init")
    git("add", "-f", "--all")
    git("commit", "-m", "files of keys that should not be tracked")
    for path in files:
        path.write_text(f"NAME={FROM_FILE if path.suffix != '.py' else 'a change'}\n")
    run = bench.shell("true")
    bench.ended(run)
    kept = json.loads((bench.folder(run) / "git.json").read_text())
    assert "+NAME=a change" in kept["diff"]
    assert " M .env" in kept["status"], "that it has changed is told"
    assert files_with(FROM_FILE, bench.work / "logs", bench.state) == []
