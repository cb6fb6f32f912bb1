"""The command line as people and scripts use it: exit statuses, streams, and what is said."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import threading

import pytest

from gpu_graph.paths import socket_path, state_dir

GATED = """
    def build():
        g = Graph("gated")
        first = g.shell("first", "echo first >> ran; until test -e go; do sleep 0.05; done")
        g.shell("second", "echo second >> ran", after=[first])
        return g
"""


@pytest.fixture
def on_terminal(bench):
    """Runs a command in a pseudo-terminal to its end; returns its exit status and all it printed."""

    def run(*words) -> tuple[int, bytes]:
        pid, terminal = pty.fork()
        if pid == 0:
            try:
                os.execv(bench.tiller_path, ["tiller", *map(str, words)])
            finally:
                os._exit(127)
        seen = b""
        while select.select([terminal], [], [], 60)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen

    return run


# --- run ---


def test_run_follows_to_the_end_with_the_id_first_on_stdout_and_progress_on_stderr(bench):
    path = bench.run_file("ok", 'def build():\n    g = Graph("ok")\n    g.shell("a", "true")\n    return g\n')
    done = bench.tiller("run", path)
    assert done.returncode == 0
    assert re.fullmatch(r"run \d{8}-\d{6}-ok-[0-9a-f]{4}\n", done.stdout)
    assert "succeeded" in done.stderr
    assert "1 succeeded" in done.stderr


def test_run_exits_1_when_anything_failed_and_shows_its_last_words(bench):
    body = """
        def build():
            g = Graph("f")
            bad = g.shell("bad", "echo the reason; exit 7")
            g.shell("b", "true", after=[bad])
            return g
    """
    done = bench.tiller("run", bench.run_file("f", body))
    assert done.returncode == 1
    assert "exit 7" in done.stderr
    assert "the reason" in done.stderr
    assert bench.states() == {"bad": "failed", "b": "skipped"}


@pytest.mark.parametrize("ghost", [True, False], ids=["with ghost", "without"])
def test_p16_an_unknown_dependency_is_refused_and_a_failed_one_skips_what_needs_it(bench, monkeypatch, ghost):
    """specs/steering.md §11 P16: the original runs steer and eval on what gen did not make, forgets ghost and exits 0."""
    monkeypatch.setenv("TILLER_FAKE_GPUS", "2")
    unknown = 'g.shell("ghost", "echo ghost >> ran", after=["unknown"])' if ghost else ""
    body = f"""
        def build():
            g = Graph("p16")
            g.shell("gen", "echo gen >> ran; exit 1")
            g.shell("cmp", "echo cmp >> ran")
            g.shell("steer", "echo steer >> ran", after=["gen"])
            g.shell("eval", "echo eval >> ran", after=["steer"])
            {unknown}
            return g
    """
    done = bench.tiller("run", bench.run_file("p16", body))
    if ghost:
        assert done.returncode == 2
        assert "ghost" in done.stderr
        assert "unknown" in done.stderr
        assert bench.marks("ran") == []
    else:
        assert done.returncode == 1
        assert sorted(bench.marks("ran")) == ["cmp", "gen"]
        assert bench.states() == {"gen": "failed", "cmp": "succeeded", "steer": "skipped", "eval": "skipped"}


def test_what_the_run_file_prints_does_not_spoil_the_first_line(bench):
    body = (
        'print("loud at import")\ndef build():\n    print("loud")\n    g = Graph("p")\n    g.shell("a", "true")\n    return g\n'
    )
    done = bench.tiller("run", bench.run_file("p", body), "--detach")
    assert done.stdout.startswith("run 2")
    assert len(done.stdout.splitlines()) == 1
    assert "loud at import" in done.stderr


def test_parameters_become_typed_options(bench):
    body = """
        def build(n: int = 1, names: tuple[str, ...] = ("x",), keep_going: bool = False):
            g = Graph("p")
            for name in names:
                g.shell(f"{name}{n}{keep_going}", "true", gpus=0)
            return g
    """
    path = bench.run_file("p", body)
    assert bench.tiller("run", path, "--n", 4, "--names", "a", "b", "--keep-going").returncode == 0
    assert set(bench.states()) == {"a4True", "b4True"}
    assert bench.tiller("run", path, "--names=c,d").returncode == 0
    assert set(bench.states()) == {"c1False", "d1False"}


def test_help_of_a_run_file_lists_its_parameters_without_running_it(bench):
    path = bench.work / "runs" / "h.py"
    path.write_text('"""Sweep of 100 % of layers."""\nimport nowhere\ndef build(layers: tuple[int, ...] = (1, 2)): ...\n')
    done = bench.tiller("run", path, "--help")
    assert done.returncode == 0
    assert "Sweep of 100 % of layers." in done.stdout
    assert re.search(r"--layers LAYERS.*\s+int … \(default: 1 2\)", done.stdout)
    assert "--detach" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--n", "many"], "n: 'many' is not a whole number"),
        (["--nn", "3"], "--nn"),
        ([], "build() needs n; give it as --n VALUE"),
    ],
)
def test_wrong_parameters_exit_2_with_the_parameter_named(bench, words, said):
    path = bench.run_file("w", 'def build(n: int):\n    g = Graph("w")\n    g.shell("a", "true")\n    return g\n')
    done = bench.tiller("run", path, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list((bench.work / "logs").iterdir()) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def build(:\n", "file.py"),
        ("answer = 42\n", "file.py"),
        ('def build():\n    g = Graph("b")\n    g.shell("giant", "true", gpus=64)\n    return g\n', "'giant' needs 64 GPUs"),
        ('def build():\n    g = Graph("b")\n    g.shell("a", "true", after=["ghost"])\n    return g\n', "'ghost'"),
        ("def build(workspace: str = 'x'):\n    return Graph('g')\n", "'workspace'"),
    ],
)
def test_an_invalid_run_file_exits_2_in_one_message_with_nothing_started(bench, body, said):
    done = bench.tiller("run", bench.run_file("file", body))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list((bench.work / "logs").iterdir()) == []


def test_an_exception_in_build_shows_its_traceback_and_exits_2(bench):
    done = bench.tiller("run", bench.run_file("file", 'def build():\n    raise ValueError("kaboom")\n'))
    assert done.returncode == 2
    assert "tiller: " in done.stderr.splitlines()[-1]
    assert "kaboom" in done.stderr.splitlines()[-1]
    assert 'file.py", line 3, in build' in done.stderr


def test_a_dry_run_shows_the_plan_and_starts_nothing(bench):
    done = bench.tiller("run", bench.run_file("g", GATED), "--dry-run")
    assert done.returncode == 0
    assert "first" in done.stdout
    assert "after first" in done.stdout
    assert list((bench.work / "logs").iterdir()) == list((bench.state / "incoming").iterdir()) == []
    refused = bench.tiller(
        "run", bench.run_file("b", 'graph = Graph("b")\ngraph.shell("giant", "true", gpus=64)\n'), "--dry-run"
    )
    assert refused.returncode == 2
    assert "giant" in refused.stderr


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGHUP, -signal.SIGHUP)])
def test_a_client_that_is_ended_leaves_its_run_going(bench, sent, status):
    client = bench.begin("run", bench.run_file("g", GATED))
    assert client.stdout.readline().startswith("run 2")
    bench.until(lambda: bench.marks("ran"), "the first task runs")
    client.send_signal(sent)
    _, said = client.communicate(timeout=60)
    assert client.returncode == status
    assert sent is signal.SIGHUP or "tiller wait" in said
    (bench.work / "go").touch()
    assert bench.ended()["state"] == "succeeded"
    assert bench.marks("ran") == ["first", "second"]


def test_a_client_follows_its_run_over_the_death_of_the_server(bench):
    client = bench.begin("run", bench.run_file("g", GATED))
    client.stdout.readline()
    bench.until(lambda: bench.marks("ran"), "the first task runs")
    bench.kill_server()
    (bench.work / "go").touch()
    _, said = client.communicate(timeout=60)
    assert client.returncode == 0
    assert "2 succeeded" in said


def test_a_full_disk_under_the_logs_is_one_sentence_and_leaves_nothing(bench, small_disk):
    logs = small_disk(bench.work / "logs", "64k")
    (logs / "filler").write_bytes(b"x" * 60_000)
    body = 'def build():\n    g = Graph("full")\n    for i in range(2000):\n        g.shell(f"t{i}", "true")\n    return g\n'
    done = bench.tiller("run", bench.run_file("full", body))
    assert done.returncode == 2
    assert "No space left on device; nothing was started" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert [path.name for path in logs.iterdir()] == ["filler"]
    assert list((bench.state / "incoming").iterdir()) == list((bench.state / "active").iterdir()) == []


# --- status, wait, cancel ---


def test_status_as_json_has_the_promised_fields(bench, parsed):
    bench.tiller("run", bench.run_file("g", GATED), "--detach")
    bench.until(lambda: bench.marks("ran"), "the first task runs")
    [run] = parsed(bench.tiller("status", "last", "--json"))["runs"]
    assert {"id", "name", "state", "host", "workspace", "counts", "tasks"} <= set(run)
    assert (run["name"], run["state"], run["workspace"]) == ("gated", "running", str(bench.work))
    first, second = run["tasks"]
    wanted = {"id", "state", "reason", "attempt", "devices", "exit_code", "started_at", "ended_at", "after"}
    assert wanted <= set(first)
    assert (second["state"], second["reason"], second["after"]) == ("waiting", "needs first", ["first"])
    assert (first["devices"], first["exit_code"], first["ended_at"]) == (["GPU-fake-0"], None, None)


def test_status_in_words_shows_runs_and_tasks_with_reasons(bench):
    bench.tiller("run", bench.run_file("g", GATED), "--detach")
    assert "gated" in bench.tiller("status").stdout
    tasks = bench.tiller("status", "last").stdout
    assert re.search(r"^Q second .*needs first$", tasks, re.MULTILINE)


def test_without_a_terminal_tiller_prints_the_status(bench):
    done = bench.tiller()
    assert done.returncode == 0
    assert "no runs here yet; start one with: tiller run" in done.stdout


@pytest.mark.parametrize("words", [["status"], ["wait"], ["cancel"], ["logs"]])
def test_an_unknown_run_exits_2_and_says_where_to_look(bench, words):
    done = bench.tiller(*words, "no-such-run", *(["task"] if words == ["logs"] else []))
    assert done.returncode == 2
    assert done.stderr == "tiller: no run 'no-such-run' in this workspace; tiller status lists them\n"


def test_outside_a_workspace_commands_exit_2_and_say_how_to_make_one(bench, tmp_path):
    for words in (["status"], ["wait", "last"], ["cancel", "last"], ["logs", "last", "x"]):
        done = bench.tiller(*words, cwd=tmp_path)
        assert done.returncode == 2
        assert "tiller init" in done.stderr


@pytest.mark.parametrize(("command", "status"), [("true", 0), ("false", 1)])
def test_wait_exits_as_run_would_have(bench, command, status):
    run = bench.shell(command)
    assert bench.tiller("wait", run).returncode == status
    assert bench.tiller("wait", run[-4:]).returncode == status, "also when it has ended already"


def test_cancel_of_one_task_leaves_the_others(bench):
    bench.tiller("run", bench.run_file("g", GATED), "--detach")
    assert bench.tiller("cancel", "last", "nope").returncode == 2
    assert bench.tiller("cancel", "last", "second").stdout.startswith("cancelling 1 task of ")
    (bench.work / "go").touch()
    bench.ended()
    assert bench.states() == {"first": "succeeded", "second": "cancelled"}
    again = bench.tiller("cancel", "last")
    assert again.returncode == 2
    assert "there is nothing to cancel" in again.stderr


# --- logs ---


def test_logs_are_the_bytes_when_piped_and_cleaned_on_a_terminal(bench, on_terminal):
    run = bench.shell(r"printf '\033]0;owned\007\033[2Jplain\n'; printf 'no end'")
    bench.ended(run)
    assert bench.tiller("logs", run, "task").stdout == "\x1b]0;owned\x07\x1b[2Jplain\nno end"
    status, seen = on_terminal("logs", run, "task")
    assert status == 0
    assert seen == b"plain\r\nno end\r\n"


def test_following_a_log_goes_on_over_attempts_to_the_end(bench):
    run = bench.shell('echo "begin $TILLER_ATTEMPT"; until test -e go$TILLER_ATTEMPT; do sleep 0.05; done; exit 1', retries=2)
    client = bench.begin("logs", run, "task", "-f")
    assert client.stdout.readline() == "begin 1\n"
    (bench.work / "go1").touch()
    assert client.stdout.readline() == "begin 2\n"
    bench.kill_server()  # the log goes on, so does its reader
    (bench.work / "go2").touch()
    assert client.stdout.readline() == "begin 3\n"
    (bench.work / "go3").touch()
    rest, said = client.communicate(timeout=60)
    assert (client.returncode, rest) == (0, "")
    assert "attempt 2" in said
    assert bench.tiller("logs", run, "task", "--attempt", 2).stdout == "begin 2\n"
    absent = bench.tiller("logs", run, "task", "--attempt", 4)
    assert absent.returncode == 2
    assert "has 3 attempts" in absent.stderr


def test_logs_of_a_task_that_has_not_started_say_why(bench):
    bench.tiller("run", bench.run_file("g", GATED), "--detach")
    done = bench.tiller("logs", "last", "second")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "task second is waiting: needs first\n"


def test_a_reader_that_leaves_ends_the_command_quietly(bench):
    run = bench.shell("yes | head -c 1000000", gpus=0)
    bench.ended(run)
    client = bench.begin("logs", run, "task")
    client.stdout.read(10)
    client.stdout.close()
    said = client.stderr.read()
    client.wait(timeout=60)
    assert said == ""


# --- server, devices, init ---


def test_server_status_never_starts_one_and_exits_3_without(bench, parsed):
    done = bench.tiller("server", "status", "--json")
    assert done.returncode == 3
    assert parsed(done) == {"running": False, "pid": None, "socket": None, "version": None}
    assert bench.tiller("server", "stop").returncode == 3
    assert bench.tiller("server", "start").returncode == 0
    done = bench.tiller("server", "status", "--json")
    said = parsed(done)
    assert (done.returncode, said["running"], said["pid"]) == (0, True, bench.server_pid())


def test_a_server_can_be_stopped_and_started_at_once(bench):
    for _ in range(3):
        assert bench.tiller("server", "start").returncode == 0
        assert bench.tiller("server", "stop").returncode == 0
    assert not bench.processes()


def test_a_server_of_another_protocol_is_named_and_can_be_stopped(bench):
    """A stand-in that greets as another version would, in a process of its own, and ends on TERM as all do."""
    path = socket_path(state_dir())
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        while True:
            line, _ = listener.accept()
            line.sendall(
                json.dumps({"tiller": "9.9", "protocol": 99, "pid": os.getpid(), "socket": str(path)}).encode() + b"\n"
            )
            line.close()
    reaper = threading.Thread(target=os.waitpid, args=(child, 0))
    reaper.start()
    listener.close()
    refused = bench.tiller("status")
    assert refused.returncode == 2
    assert "tiller 9.9" in refused.stderr
    assert "tiller server stop" in refused.stderr
    assert bench.tiller("server", "stop").returncode == 0
    reaper.join(timeout=60)
    assert not reaper.is_alive()


def test_devices_show_who_holds_them(bench, parsed):
    run = bench.shell("sleep 600", gpus=2)
    bench.until(lambda: bench.task(run)["state"] == "running", "it runs")
    gpus = parsed(bench.tiller("devices", "--json"))["gpus"]
    assert [gpu["holder"] for gpu in gpus] == [{"run": run, "task": "task"}] * 2 + [None] * 2
    shown = bench.tiller("devices").stdout
    assert shown.count(f"task of {run}") == 2
    assert "CPU slots: 4, 0 held" in shown


def test_a_value_that_keeps_the_server_from_starting_is_one_clear_sentence(bench):
    done = bench.tiller("devices", TILLER_FAKE_GPUS="lots")
    assert done.returncode == 2
    assert "TILLER_FAKE_GPUS='lots' is not a number of GPUs; write for example TILLER_FAKE_GPUS=8" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_init_makes_a_workspace_whose_example_runs_and_overwrites_nothing(bench, tmp_path):
    made = tmp_path / "made"
    assert bench.tiller("init", made, cwd=tmp_path).returncode == 0
    assert {path.name for path in made.iterdir()} == {"runs", "logs", "artifacts", "tiller.toml", ".gitignore"}
    (made / "tiller.toml").write_text("# mine\n")
    assert bench.tiller("run", "runs/example.py", cwd=made).returncode == 0
    assert bench.tiller("init", cwd=made).returncode == 0
    assert (made / "tiller.toml").read_text() == "# mine\n"
    refused = bench.tiller("init", made / "tiller.toml")
    assert refused.returncode == 2
    assert "cannot make a workspace" in refused.stderr


@pytest.mark.parametrize(
    ("words", "status"), [(["--help"], 0), (["--version"], 0), (["nonsense"], 2), (["server", "dance"], 2)]
)
def test_the_overview_and_unknown_words(bench, words, status):
    done = bench.tiller(*words)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert done.stdout if status == 0 else "nonsense" in done.stderr or "dance" in done.stderr


def test_a_terminal_without_unicode_gets_question_marks_not_a_traceback(bench):
    bench.shell("sleep 600")
    done = bench.tiller("status", "last", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
