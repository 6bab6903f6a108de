"""Hostile plug-ins: what they try, what stops them, and what nothing stops.

CONTRIBUTING.md says what comes of each attempt in a table; `TABLE` says which tests hold its lines.
"""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from pathlib import Path
from textwrap import dedent, indent

import pytest
import tiny_provider
import torch
from tiny_handout import tiny_handout

from taskmark import Given, WeightSpace
from taskmark.errors import TaskmarkError
from taskmark.machine.global_settings import read_settings
from taskmark.plugins.process import PluginError
from taskmark.plugins.registry import find
from taskmark.plugins.stand_ins import Limits, find_isolated
from taskmark.stages.editing import edit, run_method
from taskmark.store.address import folder_of
from taskmark.store.artifacts import Store

LIMITS = Limits(seconds=600, provider="tiny_provider")
HONEST = "return Edit(given.task_vectors.sum(0))"

# What a method tries one after the other within its edit: what is raised, or "reached".

NOT_THERE = {
    "promotes its track and asks for labels": (
        "given._track = 'labelled'; given.labels('hills', 'train')",
        "KeyError: 'train_labels'",
    ),
    "asks the data behind for the test split": (
        "given._data.inputs('hills', 'test')",
        "KeyError: 'test'",
    ),
    "asks the data behind for labels": (
        "given._data.labels('hills', 'validation')",
        "KeyError: 'validation_labels'",
    ),
    "looks for test images among all that is in memory": (
        """
        import gc
        rows = [o.shape[0] for o in gc.get_objects() if isinstance(o, torch.Tensor) and o.ndim]
        assert 90 in rows, "none of them"
        """,
        "AssertionError: none of them",
    ),
}
REFUSED = {
    "makes the test data anew with the suite's own provider": (
        "import tiny_provider\ntiny_provider.task('hills').test",
        "imported tiny_provider",
    ),
    "reads the suite's own files": ("open(PROVIDER).read()", "opened the suite's own files"),
    "opens what is in the store": ("open(FILE, 'rb').read()", "opened a file of the store"),
    "asks the harness's own reading of the store": (
        """
        from pathlib import Path
        from taskmark.store.artifacts import Store
        file = Path(FILE)
        Store(file.parents[2]).get("inputs_test", file.stem).tensors["test_labels"]
        """,
        "opened a file of the store",
    ),
    "maps a name that leads there": (
        "os.symlink(FILE, LINK)\nimport numpy\nnumpy.memmap(LINK, dtype='u1', mode='r')",
        "opened a file of the store",
    ),
}
# Whoever runs as the same user can read what the user can, and what is in a process is its own.
REACHED = {
    "opens the store in compiled code": """
        import safetensors
        file = FILE.removesuffix(".json") + ".safetensors"
        with safetensors.safe_open(file, framework="pt") as tensors:
            assert len(tensors.get_tensor("test_labels")) == 90
    """,
    "runs another Python to make the test data anew": """
        import subprocess
        code = f"import sys; sys.path.append({FOLDER!r}); import tiny_provider as t; " \
            "print(len(t.task('hills').test.labels))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        assert int(done.stdout) == 90
    """,
    "goes from the model to the code that made it, and on to the data": """
        encoder = given._features.__self__._setting.encoder
        assert len(encoder.forward.__globals__["task"]("hills").test.labels) == 90
    """,
    "raises its own budget": """
        given._gradient_budget = 10**9
        v = given.task_vectors.sum(0).requires_grad_()
        for _ in range(5):
            given.features(v, given.images("hills", "train"))
    """,
}
# What is in nobody's way: it is done to a process that ends.
MEDDLES = {
    "write to what it is given": """
        for task in given.tasks:
            given.images(task, "train").zero_()
            given.labels(task, "train").zero_()
            given.heads[task].weight.zero_()
            given.heads[task].bias.zero_()
    """,
    "replace what it was given": """
        given.heads.clear()
        given.tasks = ()
        given.space = None
        given.generator = None
    """,
    "reach for the model": """
        for parameter in given._features.__self__._setting.encoder.parameters():
            parameter.data.zero_()
    """,
    "replace functions": """
        import taskmark.contract.edit, taskmark.contract.head, taskmark.statistics.intervals
        taskmark.contract.head.Head.predict = lambda _, rows: torch.zeros(len(rows)).long()
        taskmark.statistics.intervals.normalised_accuracy = lambda *_: 1.0
        taskmark.contract.edit.Edit.checked = lambda self, *_: self
    """,
    "turn switches and seed generators": """
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.manual_seed(5)
    """,
    "leave work for the end": """
        import atexit, threading
        atexit.register(lambda: (_ for _ in ()).throw(ValueError))
        threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=False).start()
    """,
    "print without end, then close the output": """
        for _ in range(200):
            print("x" * 50_000)
        os.close(1); os.close(2)
    """,
    "leave processes behind": """
        for apart in (False, True):
            if not os.fork():
                apart and os.setsid()
                import time
                time.sleep(600)
    """,
}
BODIES = {
    "honest": HONEST,
    "hides": "try:\n    import tiny_provider\nexcept BaseException:\n    pass\n" + HONEST,
    "meddles": "\n".join(
        [
            "vector = given.task_vectors.sum(0)",
            *map(dedent, MEDDLES.values()),
            "return Edit(vector)",
        ]
    ),
    "writes": "given.task_vectors.mul_(2); return Edit(given.task_vectors.sum(0))",
    "checks": (
        "class Mine(Edit):\n"
        "    def checked(self, *_):\n"
        "        return self\n"
        "return Mine(given.pretrained)"
    ),
    "carries": (
        "class Mine(torch.Tensor):\n    pass\n"
        "return Edit(given.task_vectors.sum(0).as_subclass(Mine))"
    ),
    "forges": (
        "Edit.checked = lambda self, *_: self\nreturn Edit(given.pretrained * float('nan'))"
    ),
    "promotes": (
        "given._track = 'labelled'\n"
        "for ask in (given.images, given.labels):\n"
        "    try: ask('hills', 'train')\n"
        "    except KeyError: continue\n"
        "    raise AssertionError\n"
        "given.features(given.task_vectors[0], torch.ones(2, 48))"
    ),
}
TRACKS = {"promotes": "weights", "meddles": "labelled"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    tiny_handout(root)
    return root


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, store):
    """A plug-in with a method for each body, and one that tries all that may be raised."""
    folder = tmp_path_factory.mktemp("plugin")
    tries = {name: dedent(code) for name, (code, _) in (NOT_THERE | REFUSED).items()}
    # What is refused ends a row, so what is reached is tried by another method.
    tried = {"tries": tries, "reaches": {name: dedent(code) for name, code in REACHED.items()}}
    names = {
        "PROVIDER": tiny_provider.__file__,
        "FOLDER": str(Path(tiny_provider.__file__).parent),
        "FILE": str(min((folder_of(store) / "inputs_test").glob("*.json"))),
        "LINK": str(folder / "link"),
    }
    text = ["import json, os, sys, torch", "from taskmark import Edit, Head, Method"]
    text += [f"{name} = {value!r}" for name, value in names.items()]
    bodies = dict(BODIES)
    for name, codes in tried.items():
        text.append(f"{name.upper()} = {codes!r}")
        bodies[name] = (
            "found = {}\n"
            f"for name, code in {name.upper()}.items():\n"
            "    try: exec(code, {**globals(), 'given': given})\n"
            "    except BaseException as error: found[name] = f'{type(error).__name__}: {error}'\n"
            "    else: found[name] = 'reached'\n"
            f"with open({str(folder / name)!r}, 'w') as file: json.dump(found, file)\n{HONEST}"
        )
    for name, body in bodies.items():
        text.append(
            f"class {name.title()}(Method):\n    'Be.'\n    name = {name!r}\n"
            f"    track = {TRACKS.get(name, 'unlabelled')!r}\n"
            f"    def edit(self, given):\n{indent(body, '        ')}\n"
        )
    path = folder / "hostile.py"
    path.write_text("\n".join(text), "utf-8")
    return path


@pytest.fixture(scope="module")
def let(hostile, store):
    """Let a method of the plug-in edit."""
    found = find_isolated([hostile], LIMITS)

    def start(name):
        handout = tiny_handout(store, track=TRACKS.get(name, "unlabelled"))
        return edit(found[name].method(), handout, limits=LIMITS)

    return start


@pytest.fixture(scope="module")
def tried(hostile, let):
    """What came of each attempt, and of the row."""
    with pytest.raises(PluginError) as caught:
        let("tries")
    return json.loads((hostile.parent / "tries").read_text("utf-8")), str(caught.value)


@pytest.fixture(scope="module")
def reached(hostile, let):
    let("reaches")
    return json.loads((hostile.parent / "reaches").read_text("utf-8"))


@pytest.mark.parametrize("attempt", NOT_THERE)
def test_what_a_track_does_not_permit_is_not_there(tried, attempt):
    assert tried[0][attempt] == NOT_THERE[attempt][1]


def test_a_method_on_weights_finds_neither_data_nor_model(let):
    with pytest.raises(PluginError, match="There is no model on the track 'weights'"):
        let("promotes")


@pytest.mark.parametrize("attempt", REFUSED)
def test_what_holds_test_data_is_refused_where_python_opens_it(tried, attempt):
    words = f"A method may not touch what holds test data: it {REFUSED[attempt][1]}."
    assert tried[0][attempt] == f"DataRefusedError: {words}"
    assert tried[1].startswith("touched test data: it ")


def test_who_hides_what_was_refused_fails_nevertheless(let):
    with pytest.raises(PluginError, match=r"^touched test data: it imported tiny_provider\.$"):
        let("hides")


@pytest.mark.parametrize("attempt", REACHED)
def test_what_a_user_can_reach_a_plugin_can(reached, attempt):
    """When something closes one of these, the table of CONTRIBUTING.md is to say so."""
    assert reached[attempt] == "reached"


def test_what_a_method_does_to_its_own_process_changes_no_result(let, store):
    before = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_rng_state()
    meddled, honest = let("meddles").edit, let("honest").edit
    assert torch.equal(meddled.vector, honest.vector)
    assert (torch.get_default_dtype(), torch.is_grad_enabled()) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])
    handout = tiny_handout(store, track="labelled")
    assert Store(store).get("inputs", handout.inputs["hills"]).tensors["train"].any()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("writes", "'writes' wrote to its inputs; work on a copy"),
        ("checks", "'checks' returned a Mine from edit"),
        ("carries", "The merged task vector is a Mine"),
        ("forges", "The merged task vector holds NaN or infinite values"),
    ],
)
def test_what_is_no_honest_edit_fails(let, name, words):
    with pytest.raises(TaskmarkError, match=words):
        let(name)


def test_a_plugin_that_reads_test_data_while_it_is_imported_ends_the_run(tiny_run, plugin):
    file = plugin(HONEST)
    file.write_text("import tiny_provider\n" + file.read_text("utf-8"), "utf-8")
    with pytest.raises(TaskmarkError, match=r"sample\.py' touched test data: it imported tiny_pr"):
        tiny_run("sample", plugin=file)


def test_code_that_runs_when_a_plugin_is_imported_cannot_reach_the_harness(tiny_run, plugin):
    file = plugin(HONEST)
    patch = "from taskmark.contract import head\nhead.Head.predict = lambda *_: 1 / 0\n"
    file.write_text(patch + file.read_text("utf-8"), "utf-8")
    rows = {row.method.name: row for row in tiny_run("sample", plugin=file).records}
    assert rows["sample"].state == "ok", rows["sample"].reason


def test_torchs_switches_are_turned_back_after_a_method_that_runs_here(plugin):
    body = """
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(3)
        torch.use_deterministic_algorithms(True)
        torch.set_grad_enabled(False)
    """
    before = read_settings()
    vectors = torch.ones(2, 3)
    given = Given.of_weights(torch.zeros(3), vectors, WeightSpace.of({"w": vectors[0]}))
    for end, outcome in (
        (HONEST, nullcontext()),
        ("raise ValueError('no')", pytest.raises(ValueError, match="no")),
    ):
        method = find([plugin(f"{dedent(body)}\n{end}")])["sample"].method()
        with outcome:
            run_method(method, given)
        assert read_settings() == before


# The lines of the table in CONTRIBUTING.md, and the tests that hold them.

OF_PROCESS = "plugins/test_process.py"
OF_CHILD = "plugins/test_child.py"
TABLE = {
    "ask for a test split, or for what its track does not permit": [
        "test_what_a_track_does_not_permit_is_not_there",
        "test_a_method_on_weights_finds_neither_data_nor_model",
    ],
    "import the suite's data, open its files or those of the store, by Python's own means": [
        "test_what_holds_test_data_is_refused_where_python_opens_it",
        "test_who_hides_what_was_refused_fails_nevertheless",
    ],
    "replace functions of the harness, of torch or numpy; turn switches; change the model": [
        "test_what_a_method_does_to_its_own_process_changes_no_result",
    ],
    "write to the weights or task vectors that it is given": [
        "test_what_is_no_honest_edit_fails",
    ],
    "return another form, NaN, code in a tensor, words of its own": [
        "test_what_is_no_honest_edit_fails",
        f"{OF_PROCESS}::test_words_of_its_own_are_refused",
        f"{OF_PROCESS}::test_what_is_no_file_of_a_few_tensors_is_refused",
    ],
    "exit, crash, hang, ignore signals": [
        f"{OF_PROCESS}::test_code_that_ends_its_process_is_one_sentence",
        f"{OF_PROCESS}::test_code_that_hangs_is_ended_with_all_that_it_started",
    ],
    "print without end, leave processes or work behind": [
        f"{OF_PROCESS}::test_what_code_does_beside_changes_nothing",
    ],
    "raise its gradient budget, hide what it touched": [
        "test_what_a_user_can_reach_a_plugin_can",
        f"{OF_CHILD}::test_counts_are_the_word_of_the_plugins_own_process",
    ],
    "open files in compiled code, start another program, follow objects to the suite's code": [
        "test_what_a_user_can_reach_a_plugin_can",
    ],
}


def test_contributing_has_a_line_for_each_attempt_and_each_line_has_its_tests():
    here = Path(__file__)
    text = (here.parents[2] / "CONTRIBUTING.md").read_text("utf-8")
    section = text.partition("### What a plug-in can reach")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| ([^|]+?) \| [^|]+ \|$", section, re.MULTILINE)
    assert [line for line in lines if line not in {"attempt", "---"}] == list(TABLE)
    for test in (test for tests in TABLE.values() for test in tests):
        file, _, name = test.rpartition("::")
        source = (here.parent / file).read_text("utf-8") if file else here.read_text("utf-8")
        assert f"\ndef {name}(" in source
