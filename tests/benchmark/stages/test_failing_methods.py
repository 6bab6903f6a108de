"""Methods that fail: one failed row with a sentence, and every other row as it should be."""

from __future__ import annotations

import textwrap

import pytest
from tiny_setting import REFERENCES

from taskmark.config import RunConfig
from taskmark.engine.executor import Event, execute
from taskmark.engine.run import Watcher, run
from taskmark.errors import TaskmarkError
from taskmark.plugins.method_choice import MethodChoice

BODIES = {
    "raises": ("raise ValueError('no\\nidea')", "ValueError: no idea"),
    "exits": ("sys.exit(3)", "SystemExit: 3"),
    "runs out of memory": ("raise MemoryError('too much')", "MemoryError: too much"),
    "returns another shape": (
        "return Edit(given.pretrained[:-1])",
        "The merged task vector has the shape",
    ),
    "returns NaN": ("return Edit(given.pretrained * float('nan'))", "holds NaN or infinite values"),
    "returns float64": ("return Edit(given.pretrained.double())", "is torch.float64; return"),
    "returns nothing": ("return None", "returned a NoneType from edit()"),
    "returns a bare tensor": ("return given.pretrained", "returned a Tensor from edit()"),
    "writes to the task vectors": (
        "given.task_vectors.mul_(2); return Edit(given.task_vectors.sum(0))",
        "wrote to its inputs; work on a copy",
    ),
    "writes to theta0": (
        "given.pretrained[0] = 7.0; return Edit(given.task_vectors.sum(0))",
        "wrote to its inputs; work on a copy",
    ),
    "hides that it wrote to its inputs": (
        (
            "given.task_vectors.mul_(2); v = given.task_vectors.sum(0)\n"
            "given.task_vectors = given.task_vectors.clone(); return Edit(v)"
        ),
        "wrote to its inputs; work on a copy",
    ),
    "asks for images": (
        "given.images('hills'); return Edit(given.pretrained)",
        "The track 'weights' does not allow images",
    ),
    "asks for test images": (
        "given.images('hills', 'test'); return Edit(given.pretrained)",
        "The track 'weights' does not allow images",
    ),
    "names a task that is none": (
        "return Edit(given.pretrained, per_task={'seas': given.pretrained})",
        "names the task 'seas', which was not given",
    ),
    "brings a head of another width": (
        "return Edit(given.pretrained, heads={'hills': Head(torch.ones(3, 5), torch.ones(3))})",
        "The head of the task 'hills' has a weight of the shape (3, 5)",
    ),
    "brings a head of NaN": (
        (
            "h = given.heads['hills']; b = h.bias * float('nan')\n"
            "return Edit(given.pretrained, heads={'hills': Head(h.weight, b)})"
        ),
        "The head of the task 'hills' holds NaN",
    ),
}


def _reasons(outcome, *names: str) -> dict[str, str]:
    """Why each of the methods named failed, where every other row is as it should be."""
    rows = {record.method.name: record for record in outcome.records}
    assert {"linear_probing", *REFERENCES, *names} <= set(rows)
    failed = [record for record in outcome.records if record.state != "ok"]
    assert sorted(record.method.name for record in failed) == sorted(names)
    for record in failed:
        assert record.state == "failed"
        assert "\n" not in record.reason
        assert record.tasks == ()
        assert record.accuracy is None
    return {record.method.name: record.reason for record in failed}


def _only_sample_failed(outcome, words: str) -> None:
    assert words in _reasons(outcome, "sample")["sample"]


@pytest.fixture(scope="module")
def failures(tiny_suite, tiny_store, tmp_path_factory) -> dict[str, str]:
    """The reason of each case of `BODIES`: methods of one plug-in, since each start costs."""
    names = {case: case.lower().replace(" ", "_") for case in BODIES}
    folder = tmp_path_factory.mktemp("failing")
    lines = ["import sys, torch", "from taskmark import Edit, Head, Method"]
    for case, (body, _words) in BODIES.items():
        lines += [
            f"class {''.join(word.capitalize() for word in case.split())}(Method):",
            f'    """A method that {case}."""',
            f'    name = "{names[case]}"',
            "    def edit(self, given):",
            textwrap.indent(body, " " * 8),
        ]
    file = folder / "failing.py"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    config = RunConfig(
        suite=str(tiny_suite),
        out=folder / "out",
        methods=tuple(MethodChoice(name) for name in names.values()),
        device="cpu",
        plugins=(file,),
        workers=0,
        store=tiny_store,
    )
    reasons = _reasons(run(config), *names.values())
    return {case: reasons[name] for case, name in names.items()}


@pytest.mark.parametrize("case", BODIES)
def test_a_method_that_fails_fails_its_own_row_alone(failures, case):
    assert BODIES[case][1] in failures[case]


def test_a_method_that_writes_to_its_inputs_is_named(failures):
    for case in ("writes to the task vectors", "writes to theta0"):
        assert f"'{case.replace(' ', '_')}' wrote to its inputs" in failures[case]


def test_a_method_that_rewrites_its_account_is_told_the_line(tiny_run, plugin):
    file = plugin("given.gradient_images = 0; return Edit(given.pretrained)")
    _only_sample_failed(tiny_run("sample", plugin=file), ", line 11 of sample.py")


def test_a_method_that_spends_more_than_its_budget_fails(tiny_run, plugin):
    body = """
        v = given.task_vectors.sum(0).requires_grad_()
        x = given.images("hills", "train")
        while True:
            given.features(v, x)
    """
    file = plugin(body, facts='track = "unlabelled"')
    words = "The suite grants 960 gradient images and 960 are spent"
    _only_sample_failed(tiny_run("sample", plugin=file), words)


def test_an_unlabelled_method_that_asks_for_labels_fails(tiny_run, plugin):
    file = plugin("given.labels('hills', 'train')", facts='track = "unlabelled"')
    words = "The track 'unlabelled' does not allow labels"
    _only_sample_failed(tiny_run("sample", plugin=file), words)


def test_a_labelled_method_that_asks_for_test_data_fails(tiny_run, plugin):
    file = plugin("given.images('hills', 'test')", facts='track = "labelled"')
    words = "The split 'test' of 'hills' is not for methods"
    _only_sample_failed(tiny_run("sample", plugin=file), words)


def test_a_failed_row_is_tried_again_and_an_ok_row_is_not(tiny_run, plugin):
    tiny_run("sample", plugin=plugin("raise ValueError"))
    todo = []
    watcher = Watcher(lambda jobs, _done, _workers: todo.extend(job.label for job in jobs))
    tiny_run("sample", plugin=plugin("raise ValueError"), watcher=watcher)
    assert todo == ["plain, standard: sample"]


def test_a_plugin_that_was_mended_gives_a_row_in_the_same_process(tiny_run, plugin):
    states = []
    for body in ("raise ValueError", "return Edit(given.pretrained)"):
        outcome = tiny_run("sample", plugin=plugin(body))
        states += [r.state for r in outcome.records if r.method.name == "sample"]
    assert states == ["failed", "ok"]


def test_what_a_method_touches_and_stores_is_on_its_record(tiny_run, plugin):
    body = """
        x = given.images("lakes", "train")
        given.labels("hills")
        v = given.task_vectors.sum(0).requires_grad_()
        given.features(v, x[:10]).sum().backward()
        with torch.no_grad():
            given.logits(v, "lakes", x[:7])
        return Edit(v, heads={"hills": given.heads["hills"]}, per_task={"woods": v})
    """
    outcome = tiny_run("sample", plugin=plugin(body, facts='track = "labelled"'))
    (record,) = [record for record in outcome.records if record.method.name == "sample"]
    assert record.state == "ok", record.reason
    counted = record.counted
    assert counted.data_touched == {"hills/validation/labels": 60, "lakes/train/images": 96}
    assert (counted.gradient_images, counted.forward_images) == (10, 7)
    assert counted.extra_parameters == (3 * 8 + 3) + (48 * 16 + 16 + 2 * 16 + 16 * 8 + 8)
    assert counted.selection_images == 5 * 180
    assert (record.method.origin, record.method.track) == ("file", "labelled")


def test_a_method_that_ends_its_process_is_a_failed_row(tiny_run, plugin, monkeypatch):
    def died_in_sample(jobs, context, *, listener, **options):
        mortal = [job for job in jobs if job.label.endswith("sample")]
        immortal = [job for job in jobs if job not in mortal]
        execute(immortal, context, listener=listener, **options)
        for job in mortal:
            listener(Event("died", job))

    monkeypatch.setattr("taskmark.engine.run.execute", died_in_sample)
    outcome = tiny_run("sample", plugin=plugin("return Edit(given.pretrained)"))
    _only_sample_failed(outcome, "The process that ran it was ended.")


def test_a_method_that_takes_too_long_fails(tiny_run, tiny_suite, tiny_store, tmp_path, plugin):
    tiny_run()
    config = RunConfig(
        suite=str(tiny_suite),
        out=tmp_path / "late",
        methods=(MethodChoice("sample"),),
        device="cpu",
        plugins=(plugin("while True: pass"),),
        workers=0,
        store=tiny_store,
        time_limit=5,
    )
    _only_sample_failed(run(config), "timed out after 5 s")


def test_a_method_that_ends_its_process_fails_its_row_in_a_worker_too(tiny_run, plugin):
    file = plugin("os._exit(3)")
    words = "The method 'sample' ended its process with the exit code 3"
    _only_sample_failed(tiny_run("sample", plugin=file, workers=1), words)


def test_a_stage_that_loses_its_process_ends_the_run_in_a_sentence(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "taskmark.engine.run.execute",
        lambda jobs, _context, *, listener, **_options: listener(Event("died", jobs[0])),
    )
    with pytest.raises(TaskmarkError, match="process was ended while reading the data of hills"):
        tiny_run(store=tmp_path / "store")
