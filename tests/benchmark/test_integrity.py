"""Hostile plug-ins: what they try, what stops them, and what nothing stops."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from textwrap import dedent

import pytest
import tiny_provider
import torch

from taskmark import Given, WeightSpace
from taskmark.errors import TaskmarkError
from taskmark.plugins.registry import find
from taskmark.stages.editing import apply
from taskmark.store.layout import folder_of

HONEST = "return Edit(given.task_vectors.sum(0))"


def _row(outcome, name):
    (record,) = [record for record in outcome.records if record.method.name == name]
    return record


def _result(record):
    """All that a record says of the edited model."""
    return record.scale, record.curve, record.tasks, record.normalised_accuracy


# What a hostile method tries within a run: it fails, or it changes nothing.

FAILS = {
    "promotes its own track": "given._track = 'labelled'; given.labels('hills', 'train')",
    "asks the data behind for the test split": "given._data.inputs('hills', 'test')",
    "asks the data behind for labels": "given._data.labels('hills', 'train')",
    "reaches for the encoder": "given._features.__self__._setting.encoder",
    "returns an edit that checks itself": (
        "class Mine(Edit):\n"
        "    def checked(self, *_):\n"
        "        return self\n"
        "return Mine(given.pretrained)"
    ),
    "returns a tensor with code of its own": (
        "class Mine(torch.Tensor):\n"
        "    pass\n"
        "return Edit(given.task_vectors.sum(0).as_subclass(Mine))"
    ),
}


@pytest.mark.parametrize("attempt", FAILS)
def test_what_a_method_may_not_do_fails_its_row(tiny_run, plugin, attempt):
    file = plugin(FAILS[attempt], facts='track = "unlabelled"')
    record = _row(tiny_run("sample", plugin=file), "sample")
    assert record.state == "failed"
    assert record.reason


CHANGES_NOTHING = {
    "writes to images, labels and heads": """
        for task in given.tasks:
            for split in ("train", "validation"):
                given.images(task, split).zero_()
                given.labels(task, split).zero_()
            given.heads[task].weight.zero_()
            given.heads[task].bias.zero_()
    """,
    "replaces what it was given": """
        given.heads.clear()
        given.tasks = ()
        given.space = None
        given.generator = None
    """,
    "replaces the harness's functions": """
        import taskmark.contract.edit, taskmark.contract.head, taskmark.statistics.intervals
        taskmark.contract.head.Head.predict = lambda _, rows: torch.zeros(len(rows)).long()
        taskmark.statistics.intervals.normalised_accuracy = lambda *_: 1.0
        taskmark.contract.edit.Edit.checked = lambda self, *_: self
    """,
    "leaves work for the end of its process": """
        import atexit, threading
        atexit.register(lambda: (_ for _ in ()).throw(ValueError))
        threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=False).start()
    """,
    "prints without end": """
        for _ in range(200):
            print("x" * 50_000)
        os.write(2, b"y" * 1_000_000)
    """,
    "closes what it prints to": "os.close(1); os.close(2)",
    "leaves processes behind": """
        for apart in (False, True):
            if not os.fork():
                apart and os.setsid()
                import time
                time.sleep(600)
    """,
}


@pytest.mark.parametrize("attempt", CHANGES_NOTHING)
def test_what_a_method_does_to_what_it_holds_changes_no_result(tiny_run, plugin, attempt):
    facts = 'track = "labelled"'
    honest = tiny_run("honest", plugin=plugin(HONEST, facts=facts, name="honest"))
    body = "vector = given.task_vectors.sum(0)\n" + dedent(CHANGES_NOTHING[attempt])
    outcome = tiny_run(
        "hostile", plugin=plugin(f"{body}\nreturn Edit(vector)", name="hostile", facts=facts)
    )
    assert _row(outcome, "hostile").state == "ok", _row(outcome, "hostile").reason
    assert _result(_row(outcome, "hostile")) == _result(_row(honest, "honest"))
    after = tiny_run("other", plugin=plugin(HONEST, facts=facts, name="other"))
    assert _result(_row(after, "other")) == _result(_row(honest, "honest"))


def test_torchs_switches_are_turned_back_after_a_method_that_runs_here(plugin):
    body = """
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(3)
        torch.use_deterministic_algorithms(True)
        torch.set_grad_enabled(False)
    """
    before = _switches()
    vectors = torch.ones(2, 3)
    given = Given.of_weights(torch.zeros(3), vectors, WeightSpace.of({"w": vectors[0]}))
    for end, outcome in (
        (HONEST, nullcontext()),
        ("raise ValueError('no')", pytest.raises(ValueError, match="no")),
    ):
        method = find([plugin(f"{dedent(body)}\n{end}")])["sample"].method()
        with outcome:
            apply(method, given)
        assert _switches() == before


def _switches():
    return (
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_grad_enabled(),
    )


# What a hostile method tries in the process that it has for itself.

APART = {
    "imports the harness and asks its store": (
        "from taskmark.engine import worker\nworker._context.store_root",
        "AttributeError: 'NoneType'",
    ),
    "looks the store up in the environment": (
        "os.environ['TASKMARK_STORE']",
        "KeyError: 'TASKMARK_STORE'",
    ),
    "raises its own budget": (
        """
        given._gradient_budget = 10**9
        v = given.task_vectors.sum(0).requires_grad_()
        x = given.images("hills", "train")
        for _ in range(11):
            given.features(v, x)
        return Edit(v.detach())
        """,
        "The suite grants 960 gradient images and 960 are spent",
    ),
    "makes the test data anew with the suite's own provider": (
        "import tiny_provider\nassert not len(tiny_provider.task('hills').test.labels)",
        "touched test data: it imported tiny_provider.",
    ),
    "does so and hides it": (
        """
        try:
            import tiny_provider
        except BaseException:
            pass
        return Edit(given.pretrained)
        """,
        "touched test data: it imported tiny_provider.",
    ),
    "reads the suite's own files": (
        "open(PROVIDER).read()",
        "touched test data: it opened the suite's own files.",
    ),
    "opens what is in the store": (
        "open(FILE, 'rb').read()",
        "touched test data: it opened a file of the store.",
    ),
    "asks the harness's own reading of the store": (
        """
        from pathlib import Path
        from taskmark.store.artifacts import Store
        file = Path(FILE)
        test = Store(file.parents[1]).get("inputs_test", file.stem).tensors["test_labels"]
        assert not len(test)
        """,
        "touched test data: it opened a file of the store.",
    ),
    "maps a name that leads there": (
        "os.symlink(FILE, LINK)\nimport numpy\nnumpy.memmap(LINK, dtype='u1', mode='r')",
        "touched test data: it opened a file of the store.",
    ),
    "says something of its own to the harness": (
        """
        import gc, socket
        (line,) = [o for o in gc.get_objects() if isinstance(o, socket.socket) and o.fileno() > 2]
        line.sendall(b"\\0" * 7 + b"\\2" + b"\\0" * 8 + b"{}")
        """,
        "sent something that is no message in place of an answer",
    ),
    "says what no method may say": (
        """
        import gc, socket
        from taskmark.plugins.wire import send
        (line,) = [o for o in gc.get_objects() if isinstance(o, socket.socket) and o.fileno() > 2]
        send(line, {"op": "rank me first"}, {})
        """,
        "sent words of its own in place of an answer",
    ),
    "promises more than memory holds": (
        """
        import gc, socket
        (line,) = [o for o in gc.get_objects() if isinstance(o, socket.socket) and o.fileno() > 2]
        line.sendall(b"\\x7f" * 16)
        """,
        f"sent a message of {2 * 0x7F7F7F7F7F7F7F7F} bytes in place of an answer",
    ),
    "sends an edit that it did not check": (
        """
        import gc, socket
        from taskmark.plugins.wire import send
        (line,) = [o for o in gc.get_objects() if isinstance(o, socket.socket) and o.fileno() > 2]
        facts = {"op": "edited", "heads": {}, "per_task": [], "masks": {}}
        send(line, facts, {"vector": given.pretrained[:3]})
        """,
        "The merged task vector has the shape (3,)",
    ),
    "hangs up": (
        """
        import gc, socket
        for o in gc.get_objects():
            if isinstance(o, socket.socket):
                o.close()
        """,
        "ended its process with the exit code",
    ),
}


@pytest.mark.parametrize("attempt", APART)
def test_a_method_cannot_go_around_what_it_is_given(
    tiny_run, plugin, attempt, monkeypatch, tiny_store, tmp_path
):
    monkeypatch.setenv("TASKMARK_STORE", str(tiny_store))
    tiny_run("task_arithmetic")
    file = min((folder_of(tiny_store) / "inputs_test").glob("*.json"))
    body, words = APART[attempt]
    body = (
        f"PROVIDER, FILE, LINK = {tiny_provider.__file__!r}, {str(file)!r}, "
        f"{str(tmp_path / 'link')!r}\n{dedent(body)}\n{HONEST}"
    )
    record = _row(tiny_run("sample", plugin=plugin(body, facts='track = "unlabelled"')), "sample")
    assert record.state == "failed"
    assert words in record.reason


def test_nothing_of_the_run_is_in_the_memory_of_a_methods_process(tiny_run, plugin, tiny_store):
    body = f"""
        import gc
        names = [str(value) for value in (*sys.argv, *os.environ.values(), os.getcwd())]
        names += [value for o in gc.get_objects() if isinstance(o, dict)
                  for value in [*o.values()] if isinstance(value, str)]
        hidden = {str(tiny_store)[:-1]!r}  # all but the last letter, so that it is not its own find
        assert not [name for name in names if name.startswith(hidden) and name != hidden]
        rows = [o for o in gc.get_objects() if isinstance(o, torch.Tensor) and o.shape[:1] == (90,)]
        assert not rows
        {HONEST}
    """
    assert _row(tiny_run("sample", plugin=plugin(body)), "sample").state == "ok"


def test_code_that_runs_when_a_plugin_is_imported_cannot_reach_the_harness(tiny_run, plugin):
    file = plugin(HONEST)
    patch = "import taskmark.contract.head\ntaskmark.head.Head.predict = lambda *_: 1 / 0\n"
    file.write_text(patch + file.read_text("utf-8"), "utf-8")
    record = _row(tiny_run("sample", plugin=file), "sample")
    honest = tiny_run("honest", plugin=plugin(HONEST, name="honest"))
    assert _result(record) == _result(_row(honest, "honest"))


def test_a_plugin_that_reads_test_data_while_it_is_imported_ends_the_run(tiny_run, plugin):
    file = plugin(HONEST)
    file.write_text("import tiny_provider\n" + file.read_text("utf-8"), "utf-8")
    with pytest.raises(TaskmarkError, match=r"sample\.py' touched test data: it imported tiny_pr"):
        tiny_run("sample", plugin=file)


# What nothing stops: whoever runs as the same user can read what the user can. Each is reached
# today; a strict xfail says so, and fails when one day something closes it.

OPEN = {
    "opens the store in compiled code": """
        import safetensors
        file = FILE.removesuffix(".json") + ".safetensors"
        with safetensors.safe_open(file, framework="pt") as tensors:
            assert not len(tensors.get_tensor("test_labels"))
    """,
    "runs another Python to make the test data anew": """
        import subprocess
        code = f"import sys; sys.path.append({FOLDER!r}); import tiny_provider as t; " \
            "print(len(t.task('hills').test.labels))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        assert not int(done.stdout)
    """,
}


@pytest.mark.parametrize("attempt", OPEN)
@pytest.mark.xfail(strict=True, reason="a plug-in runs as the user, and the disk is the user's")
def test_a_method_cannot_read_what_the_user_can(tiny_run, plugin, attempt, tiny_store):
    tiny_run("task_arithmetic")
    file = min((folder_of(tiny_store) / "inputs_test").glob("*.json"))
    folder = str(Path(tiny_provider.__file__).parent)
    body = f"FILE, FOLDER = {str(file)!r}, {folder!r}\n{dedent(OPEN[attempt])}\n{HONEST}"
    record = _row(tiny_run("sample", plugin=plugin(body)), "sample")
    # It fails, loudly, exactly when it reached the data.
    assert "AssertionError" not in (record.reason or "")
