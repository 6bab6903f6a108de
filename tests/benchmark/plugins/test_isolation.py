"""The process of a plug-in: what it may do to itself, and that nothing of it is left."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent, indent

import pytest
import torch
from tiny_provider import Encoder
from torch.func import functional_call

from taskmark import Given, Head, WeightSpace
from taskmark.errors import BudgetSpentError, DataRefusedError, TaskmarkError
from taskmark.machine.global_settings import read_settings
from taskmark.plugins.isolated_methods import Limits, find_apart
from taskmark.plugins.process import PluginError
from taskmark.plugins.registry import find
from taskmark.stages.editing import apply

LIMITS = Limits(seconds=600, provider="tiny_provider")
SPACE = WeightSpace.of(Encoder())
TASKS = ("hills", "lakes")


class Data:
    """Made-up images and labels."""

    def inputs(self, task, split):
        source = torch.Generator().manual_seed(len(task) + len(split))
        return torch.randn(40, 48, generator=source)

    def labels(self, task, split):
        return torch.arange(40).remainder(3) if (task, split) != ("", "") else torch.zeros(40)


class Reader:
    """The tiny encoder around a theta0, and what is done when features are asked for."""

    def __init__(self, pretrained, *, first=lambda: None):
        self.pretrained, self.first, self.encoder = pretrained, first, Encoder()

    def features(self, vector, inputs):
        self.first()
        return functional_call(self.encoder, SPACE.unflatten(self.pretrained + vector), (inputs,))


def given(*, track="weights", first=lambda: None):
    source = torch.Generator().manual_seed(0)
    pretrained = 0.3 * torch.randn(SPACE.size, generator=source)
    return Given(
        pretrained=pretrained,
        task_vectors=0.1 * torch.randn(2, SPACE.size, generator=source),
        space=SPACE,
        tasks=TASKS,
        track=track,
        seed=3,
        heads={t: Head(torch.randn(3, 8, generator=source), torch.zeros(3)) for t in TASKS},
        features=Reader(pretrained, first=first).features,
        data=Data(),
        gradient_budget=100,
    )


@pytest.fixture
def method(tmp_path):
    """A plug-in whose `edit` has this body, as a run knows it."""

    def write(body, *, track="weights", limits=LIMITS):
        path = tmp_path / "sample.py"
        path.write_text(
            "import os, signal, sys, time, torch\nfrom taskmark import Edit, Head, Method\n"
            f"PIDS = {str(tmp_path / 'pids')!r}\n"
            "def note():\n    with open(PIDS, 'a') as f:\n        f.write(f'{os.getpid()} ')\n"
            f"class Sample(Method):\n    'One.'\n    name = 'sample'\n    track = {track!r}\n"
            f"    def edit(self, given):\n        note()\n{indent(dedent(body), '        ')}\n",
            "utf-8",
        )
        kind = find_apart([path], LIMITS)["sample"].method
        kind._apart = dataclasses.replace(kind._apart, limits=limits)
        return kind()

    return write


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
    "leaves politely": ("sys.exit('enough')", "SystemExit: enough"),
    "crashes": ("os.kill(os.getpid(), signal.SIGSEGV)", "ended its process by SIGSEGV"),
    "says that the user ended it": ("raise KeyboardInterrupt", "^KeyboardInterrupt:"),
    "ends what it was started by": (
        "os.kill(os.getppid(), signal.SIGKILL); time.sleep(600)",
        "went silent in place of an answer",
    ),
    "leaves while a fork of it stays": (
        "if os.fork():\n    os._exit(4)\nnote(); time.sleep(600)",
        "ended its process with the exit code 4",
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_a_method_that_ends_its_process_is_one_sentence(method, nothing_left, case):
    body, words = ENDS[case]
    with pytest.raises(PluginError, match=words) as caught:
        apply(method(body), given())
    assert "\n" not in str(caught.value)
    nothing_left()
    edit, _ = apply(method("return Edit(given.task_vectors.sum(0))"), given())
    assert torch.equal(edit.vector, given().task_vectors.sum(0))


HANGS = {
    "sleeps": "time.sleep(600)",
    "works without end": "while True: pass",
    "turns signals away": """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_IGN)
        time.sleep(600)
    """,
    "prints without end": "while True: print('x' * 100_000)",
    "closes its output": "os.close(1); os.close(2); time.sleep(600)",
    "stops in the middle of a message": """
        import gc, socket
        (line,) = [o for o in gc.get_objects() if isinstance(o, socket.socket) and o.fileno() > 2]
        line.sendall(b"\\0" * 7)
        time.sleep(600)
    """,
    "asks for features without end": "while True: given.features(given.pretrained, X)",
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
def test_a_method_that_hangs_is_ended_with_all_that_it_started(method, nothing_left, case):
    short = dataclasses.replace(LIMITS, seconds=1.5)
    body = f"X = torch.ones(2, 48)\n{dedent(HANGS[case])}"
    slow = method(body, track="unlabelled", limits=short)
    with pytest.raises(PluginError, match=r"^timed out after 1.5 s; allow it more with --time-l"):
        apply(slow, given(track="unlabelled"))
    nothing_left()


def test_an_interrupt_of_the_run_ends_the_process(method, nothing_left):
    def interrupted():
        raise KeyboardInterrupt

    body = "given.features(given.pretrained, torch.ones(2, 48)); time.sleep(600)"
    asking = method(body, track="unlabelled")
    with pytest.raises(KeyboardInterrupt):
        apply(asking, given(track="unlabelled", first=interrupted))
    nothing_left()


def test_the_end_of_a_run_by_force_ends_the_process_too(method, tmp_path):
    method("time.sleep(600)")
    script = dedent(f"""
        from pathlib import Path
        from test_isolation import LIMITS, find_apart, given
        find_apart([Path({str(tmp_path / "sample.py")!r})], LIMITS)["sample"].method().edit_apart(
            given(), {{}}
        )
    """)
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    run = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}
    )
    pids = tmp_path / "pids"
    while not (pids.is_file() and pids.read_text("utf-8").endswith(" ")):
        assert run.poll() is None
        time.sleep(0.05)
    run.kill()
    run.wait()
    _await_end(int(pids.read_text("utf-8")))


GOES_ON = {
    "prints megabytes": "for _ in range(20):\n    print('x' * 100_000, flush=True)",
    "prints megabytes as errors": "sys.stderr.write('x' * 2_000_000)",
    "leaves a fork behind": "if not os.fork():\n    note(); time.sleep(600)",
    "turns switches": "torch.set_default_dtype(torch.float64); torch.set_grad_enabled(False)",
    "seeds generators": "torch.manual_seed(5)",
}


@pytest.mark.parametrize("case", GOES_ON)
def test_what_a_method_does_beside_its_edit_changes_nothing(method, nothing_left, case):
    own = given()  # making one draws the weights of an encoder
    before = read_settings(), torch.get_rng_state()
    edit, _ = apply(method(f"{GOES_ON[case]}\nreturn Edit(given.task_vectors.sum(0))"), own)
    assert torch.equal(edit.vector, own.task_vectors.sum(0))
    assert read_settings() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    nothing_left()


LEARNS = {
    "gradients of a leaf": """
        v = given.task_vectors.sum(0).requires_grad_()
        for step in range(3):
            x = given.images(given.tasks[step % 2], "train")[:10]
            y = given.labels(given.tasks[step % 2], "train")[:10]
            loss = torch.nn.functional.cross_entropy(given.logits(v, given.tasks[0], x), y)
            (g,) = torch.autograd.grad(loss, v)
            v = (v - 0.1 * g).detach().requires_grad_()
        return Edit(v.detach())
    """,
    "gradients of coefficients, kept for a second time": """
        a = torch.ones(2, requires_grad=True)
        f = given.features(a @ given.task_vectors, given.images("hills"))
        f.sum().backward(retain_graph=True)
        f.square().sum().backward()
        return Edit(a.grad @ given.task_vectors)
    """,
    "gradients of inputs as well": """
        v = given.task_vectors[0].clone().requires_grad_()
        x = given.images("lakes")[:5].clone().requires_grad_()
        gv, gx = torch.autograd.grad(given.features(v, x).exp().sum(), [v, x])
        return Edit(gv * gx.abs().sum())
    """,
    "chance": """
        noise = torch.randn(given.space.size, generator=given.generator)
        with torch.no_grad():
            f = given.features(noise, given.images("hills"))
        return Edit(noise * f.norm(), heads={"hills": given.heads["lakes"]},
                    per_task={"lakes": noise})
    """,
}


@pytest.mark.parametrize("case", LEARNS)
def test_an_edit_has_the_same_bits_and_counts_as_in_the_runs_own_process(method, tmp_path, case):
    apart, here = given(track="labelled"), given(track="labelled")
    edit, spent = apply(method(LEARNS[case], track="labelled"), apart)
    expected, _ = apply(find([tmp_path / "sample.py"])["sample"].method(), here)
    assert expected.vector.any()
    assert torch.equal(edit.vector, expected.vector)
    assert edit.heads.keys() == expected.heads.keys()
    for task, head in expected.heads.items():
        assert torch.equal(edit.heads[task].weight, head.weight)
    assert edit.per_task.keys() == expected.per_task.keys()
    for task, vector in expected.per_task.items():
        assert torch.equal(edit.per_task[task], vector)
    assert apart.touched == here.touched
    assert (apart.gradient_images, apart.forward_images) == (
        here.gradient_images,
        here.forward_images,
    )
    assert spent.seconds > 0
    assert spent.cpu_seconds > 0


REFUSED = {
    "other labels": ("given.labels('hills')", DataRefusedError, "does not allow labels"),
    "a test split": ("given._data.inputs('hills', 'test')", DataRefusedError, "not for methods"),
    "a task that is none": ("given.images('seas')", DataRefusedError, "was not given"),
    "too many gradients": (
        "given.features(given.pretrained.clone().requires_grad_(), torch.ones(101, 48))",
        BudgetSpentError,
        "100 gradient images",
    ),
    "a batch of another width": (
        "given.features(given.pretrained, torch.ones(2, 5))",
        RuntimeError,
        "mat1 and mat2",
    ),
    "a graph that was given back": (
        "given._data._asking.ask({'op': 'backward', 'handle': 7}, {'gradient': torch.ones(1)})",
        RuntimeError,
        "7",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_is_raised_where_the_method_asked(method, what):
    question, kind, words = REFUSED[what]
    body = f"""
        try:
            {question}
        except Exception as error:
            assert type(error).__name__ == {kind.__name__!r}, repr(error)
            assert {words!r} in str(error), str(error)
            return Edit(given.task_vectors[0])
    """
    edit, _ = apply(method(body, track="unlabelled"), given(track="unlabelled"))
    assert torch.equal(edit.vector, given().task_vectors[0])


def test_a_gradient_of_a_gradient_is_refused_in_a_sentence(method):
    body = """
        v = given.task_vectors[0].clone().requires_grad_()
        f = given.features(v, torch.ones(2, 48)).square().sum()
        (g,) = torch.autograd.grad(f, v, create_graph=True)
        g.square().sum().backward()
    """
    with pytest.raises(PluginError, match="once_differentiable"):
        apply(method(body, track="unlabelled"), given(track="unlabelled"))


def test_graphs_are_kept_as_long_as_the_method_needs_them(method):
    """A method that drops its graphs, step by step, must not fill the memory of the run."""
    alive = []

    class Watched(Reader):
        def features(self, vector, inputs):
            features = super().features(vector, inputs)
            alive[:] = [node for node in alive if node() is not None]
            most.append(len(alive))
            if features.requires_grad:
                alive.append(_weakly(features))
            return features

    most = []
    own = given(track="unlabelled")
    own._features = Watched(own.pretrained).features
    body = """
        v = given.task_vectors[0].clone().requires_grad_()
        for _ in range(20):
            f = given.features(v, torch.ones(2, 48)).sum()
            (g,) = torch.autograd.grad(f, v)
        return Edit(g)
    """
    apply(method(body, track="unlabelled"), own)
    assert len(most) == 20
    assert max(most) <= 2


def _weakly(tensor):
    import weakref  # noqa: PLC0415

    return weakref.ref(tensor)


def test_a_plugin_that_ends_its_process_when_imported_is_one_sentence(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("import os; os._exit(5)", "utf-8")
    with pytest.raises(TaskmarkError, match=r"mine.py' ended its process with the exit code 5"):
        find_apart([path], LIMITS)
    path.write_text("import time; time.sleep(600)", "utf-8")
    with pytest.raises(TaskmarkError, match=r"mine.py' timed out after 1 s"):
        find_apart([path], dataclasses.replace(LIMITS, seconds=1))


def test_signals_have_names(method):
    with pytest.raises(PluginError, match=signal.SIGABRT.name):
        apply(method("os.abort()"), given())
