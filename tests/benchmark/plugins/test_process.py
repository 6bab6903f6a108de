"""The process of a plug-in: what it may do to itself, and that nothing of it is left."""

from __future__ import annotations

import json
import logging
import os
import pickle  # noqa: TID251 - what must be refused
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from safetensors.torch import save_file

from taskmark.errors import CorruptArtifactError, TaskmarkError
from taskmark.plugins import process
from taskmark.plugins.process import PluginError, read_tensors, run_isolated

WHO = "The method 'sample'"
APART = Path(__file__).parent / "apart"
NOTE = """
import os, signal, sys, time
def note():
    with open(PIDS, "a") as file:
        file.write(f"{os.getpid()} ")
note()
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run code in a process of its own, which notes itself first."""
    monkeypatch.setattr(process, "_CHILD", "code_child")
    monkeypatch.setenv("PYTHONPATH", str(APART), prepend=os.pathsep)

    def start(code, *, seconds=600.0):
        folder = tmp_path / f"order-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        code = f"PIDS = {str(tmp_path / 'pids')!r}\n{NOTE}{dedent(code)}"
        return run_isolated(WHO, {"do": "run", "code": code}, folder, seconds=seconds)

    return start


@pytest.fixture
def nothing_left(tmp_path):
    """Check that no process that noted itself is there any more."""

    def check():
        pids = [int(pid) for pid in (tmp_path / "pids").read_text("utf-8").split()]
        assert pids
        for pid in pids:
            _await_end(pid)

    return check


def _await_end(pid):
    # It was killed; the system may take a moment to bury it.
    for _ in range(600):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail(f"The process {pid} is still there.")


ENDS = {
    "leaves with a code": ("os._exit(3)", "ended its process with the exit code 3"),
    "leaves as if all were well": ("os._exit(0)", "ended its process with the exit code 0"),
    "leaves politely": ("sys.exit('enough')", "^SystemExit: enough$"),
    "raises": ("raise ValueError('no\\nidea')", "^ValueError: no idea$"),
    "crashes": ("os.kill(os.getpid(), signal.SIGSEGV)", "ended its process by SIGSEGV"),
    "aborts": ("os.abort()", "ended its process by SIGABRT"),
    "says that the user ended it": ("raise KeyboardInterrupt", "^KeyboardInterrupt:"),
    "ends what watches over it": (
        "os.kill(os.getppid(), signal.SIGKILL); time.sleep(600)",
        "ended its process by SIGKILL",
    ),
    "leaves while a fork of it stays": (
        "if os.fork():\n    os._exit(4)\nnote(); time.sleep(600)",
        "ended its process with the exit code 4",
    ),
    "closes all that is open": (
        "os.closerange(0, 256)",
        "ended its process with the exit code",
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_code_that_ends_its_process_is_one_sentence(run, nothing_left, case):
    code, words = ENDS[case]
    heard = run(code)
    with pytest.raises(PluginError, match=words):
        raise heard.fault
    assert "\n" not in str(heard.fault)
    nothing_left()


HANGS = {
    "sleeps": "time.sleep(600)",
    "works without end": "while True: pass",
    "stops itself": "os.kill(os.getpid(), signal.SIGSTOP)",
    "stops what watches over it": "os.kill(os.getppid(), signal.SIGSTOP); time.sleep(600)",
    "turns signals away": """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_IGN)
        time.sleep(600)
    """,
    "prints without end": "while True: print('x' * 100_000)",
    "closes its output": "os.close(1); os.close(2); time.sleep(600)",
    "has descendants in groups of their own": """
        for _ in range(3):
            if not os.fork():
                note()
                os.setsid()
                if not os.fork():
                    note()
                time.sleep(600)
        time.sleep(600)
    """,
    "is an orphan of its own": """
        if not os.fork():
            os.setsid()
            note()
            if os.fork():
                os._exit(0)
            note()
        time.sleep(600)
    """,
}


@pytest.mark.parametrize("case", HANGS)
def test_code_that_hangs_is_ended_with_all_that_it_started(run, nothing_left, monkeypatch, case):
    monkeypatch.setattr(process, "_END_SECONDS", 2.0)
    heard = run(HANGS[case], seconds=1.0)
    with pytest.raises(PluginError, match=r"^timed out after 1 s; allow it more with --time-limit"):
        raise heard.fault
    nothing_left()


GOES_ON = {
    "prints megabytes": "for _ in range(20):\n    print('x' * 100_000, flush=True)",
    "prints megabytes as errors": "sys.stderr.write('x' * 2_000_000)",
    "leaves a fork behind": "if not os.fork():\n    note(); time.sleep(600)",
    "leaves a fork of its own session behind": (
        "if not os.fork():\n    os.setsid(); note(); time.sleep(600)"
    ),
    "leaves work for the end": (
        "import atexit, threading\natexit.register(lambda: 1 / 0)\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()"
    ),
}


@pytest.mark.parametrize("case", GOES_ON)
def test_what_code_does_beside_changes_nothing(run, nothing_left, caplog, case):
    caplog.set_level(logging.INFO)
    heard = run(f"{GOES_ON[case]}\nsay(op='answered', number=7)")
    assert heard.fault is None
    assert heard.said == ({"op": "answered", "number": 7},)
    assert max((len(record.getMessage()) for record in caplog.records), default=0) < 3000
    nothing_left()


def test_what_was_said_before_an_end_is_heard(run):
    heard = run("say(op='finding', number=1)\nos._exit(3)")
    assert heard.said == ({"op": "finding", "number": 1},)
    assert "exit code 3" in str(heard.fault)


LINES = {
    "no JSON": b"\x80\x04K\x01.\n",
    "nested JSON": b"[" * 100_000 + b"\n",
    "a list": b"[]\n",
    "an object without a kind": b"{}\n",
    "an excuse of the harness's, too late": (
        json.dumps({"op": "unprepared", "artifact": "a/b", "sentence": "gone"}).encode() + b"\n"
    ),
}


@pytest.mark.parametrize("case", LINES)
def test_words_of_its_own_are_refused(run, case):
    heard = run(
        f"for handle in range(3, 64):\n  try: os.write(handle, {LINES[case]!r})\n"
        "  except OSError: pass"
    )
    with pytest.raises(PluginError, match="sent words of its own in place of an answer"):
        raise heard.fault


def test_answers_without_end_are_not_read(run, monkeypatch):
    monkeypatch.setattr(process, "_MOST_ANSWERS", 1000)
    heard = run("say(op='answered', text='x' * 2000)")
    with pytest.raises(PluginError, match="sent words of its own in place of an answer"):
        raise heard.fault


def test_what_cannot_be_prepared_is_no_fault_of_the_plugin(run, monkeypatch, tmp_path):
    say = "say(op='unprepared', artifact='inputs/ab', sentence='It is damaged.')"
    text = (APART / "code_child.py").read_text("utf-8").replace('say(op="ready")', say)
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "early_child.py").write_text(text, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "early"))
    monkeypatch.setattr(process, "_CHILD", "early_child")
    with pytest.raises(CorruptArtifactError, match="It is damaged") as caught:
        run("")
    assert caught.value.artifact == "inputs/ab"


def test_a_process_that_never_came_to_the_plugin_is_an_error_of_the_harness(run, monkeypatch):
    monkeypatch.setattr(process, "_CHILD", "no_such_child")
    with pytest.raises(TaskmarkError, match=r"code 1 before the plug-in began \(.*no_such_child"):
        run("")


def test_what_a_run_has_in_its_environment_is_not_there(run, monkeypatch):
    monkeypatch.setenv("TASKMARK_STORE", "/somewhere")
    heard = run("say(op='answered', there=[n for n in os.environ if n.startswith('TASKMARK_')])")
    assert heard.said == ({"op": "answered", "there": []},)


def test_an_interrupt_of_the_run_ends_the_process(run, nothing_left, monkeypatch, tmp_path):
    select = process.select.select

    def interrupted(*arguments):
        if (tmp_path / "pids").is_file():
            raise KeyboardInterrupt
        return select(*arguments)

    monkeypatch.setattr(process.select, "select", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("time.sleep(600)")
    nothing_left()


def test_the_end_of_a_run_by_force_ends_the_process_too(tmp_path):
    code = f"PIDS = {str(tmp_path / 'pids')!r}\n{NOTE}time.sleep(600)"
    script = dedent(f"""
        from pathlib import Path
        from taskmark.plugins import process
        process._CHILD = "code_child"
        order = {{"do": "run", "code": {code!r}}}
        process.run_isolated("It", order, Path({str(tmp_path)!r}), seconds=600)
    """)
    run = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(APART)}
    )
    pids = tmp_path / "pids"
    while not (pids.is_file() and pids.read_text("utf-8").endswith(" ")):
        assert run.poll() is None
        time.sleep(0.05)
    run.kill()
    run.wait()
    _await_end(int(pids.read_text("utf-8")))


def _a_pickle(path):
    path.write_bytes(pickle.dumps([1]))


def _too_large(path):
    save_file({"vector": torch.zeros(1000)}, path)


def _too_large_by_its_header(path):
    path.write_bytes(b"\x7f" * 16)


def _a_pipe(path):
    os.mkfifo(path)


def _a_link(path):
    save_file({"vector": torch.zeros(1)}, path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _nothing(_path):
    pass


@pytest.mark.parametrize(
    "forge", [_a_pickle, _too_large, _too_large_by_its_header, _a_pipe, _a_link, _nothing]
)
def test_what_is_no_file_of_a_few_tensors_is_refused(tmp_path, forge):
    forge(tmp_path / "edit")
    with pytest.raises(ValueError, match="file"):
        read_tensors(tmp_path / "edit", most_bytes=1000)
