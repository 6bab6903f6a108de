"""Methods that fail: one failed row with a sentence, and every other row as it should be."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest
from tiny_setting import REFERENCES

from taskmark.config import RunConfig
from taskmark.engine.executor import Event, execute
from taskmark.engine.run import Watcher, run
from taskmark.errors import TaskmarkError
from taskmark.plugins.method_choice import MethodChoice

if TYPE_CHECKING:
    from pathlib import Path

# The track of each method, what it does, and why its row failed; test_edit.py and test_editing.py
# have more that is no edit, without a process for each.
BODIES = {
    "raises": ("weights", "raise ValueError('no\\nidea')", "ValueError: no idea"),
    "exits": ("weights", "sys.exit(3)", "SystemExit: 3"),
    "runs out of memory": ("weights", "raise MemoryError('too much')", "MemoryError: too much"),
    "returns another shape": (
        "weights",
        "return Edit(given.pretrained[:-1])",
        "The merged task vector has the shape",
    ),
    "writes to theta0": (
        "weights",
        "given.pretrained[0] = 7.0; return Edit(given.task_vectors.sum(0))",
        "'writes_to_theta0' wrote to its inputs; work on a copy",
    ),
    "asks for test images": (
        "weights",
        "given.images('hills', 'test'); return Edit(given.pretrained)",
        "The track 'weights' does not allow images",
    ),
    "asks for labels": (
        "unlabelled",
        "given.labels('hills', 'train')",
        "The track 'unlabelled' does not allow labels",
    ),
    "may have labels and asks for test images": (
        "labelled",
        "given.images('hills', 'test')",
        "The split 'test' of 'hills' is not for methods",
    ),
    "spends more than its budget": (
        "unlabelled",
        """
        v = given.task_vectors.sum(0).requires_grad_()
        x = given.images("hills", "train")
        while True:
            given.features(v, x)
        """,
        "The suite grants 960 gradient images and 960 are spent",
    ),
    "rewrites its account": (
        "weights",
        "given.gradient_images = 0; return Edit(given.pretrained)",
        ", line 65 of failing.py",
    ),
}
# Methods of the same plug-in that do not fail on their own, or not in that run.
OTHERS = {
    "is honest": (
        "labelled",
        """
        x = given.images("lakes", "train")
        given.labels("hills")
        v = given.task_vectors.sum(0).requires_grad_()
        given.features(v, x[:10]).sum().backward()
        with torch.no_grad():
            given.logits(v, "lakes", x[:7])
        return Edit(v, heads={"hills": given.heads["hills"]}, per_task={"woods": v})
        """,
    ),
    "ends its process": ("weights", "os._exit(3)"),
    "sleeps": ("weights", "time.sleep(600)"),
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


def _named(case: str) -> str:
    return case.replace(" ", "_")


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """One plug-in with all the methods, since each that is started imports torch."""
    lines = ["import os, sys, time, torch", "from taskmark import Edit, Method"]
    bodies = {case: (track, body) for case, (track, body, _) in BODIES.items()} | OTHERS
    for case, (track, body) in bodies.items():
        lines += [
            f"class {case.title().replace(' ', '')}(Method):",
            f'    """A method that {case}."""',
            f"    name = {_named(case)!r}",
            f"    track = {track!r}",
            "    def edit(self, given):",
            textwrap.indent(textwrap.dedent(body).strip(), " " * 8),
        ]
    path = tmp_path_factory.mktemp("failing") / "failing.py"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def outcome(file, tiny_suite, tiny_store):
    """A run of all that fail, and of one that does not."""
    config = RunConfig(
        suite=str(tiny_suite),
        out=file.parent / "out",
        methods=tuple(MethodChoice(_named(case)) for case in (*BODIES, "is honest")),
        device="cpu",
        plugins=(file,),
        workers=0,
        store=tiny_store,
    )
    return run(config)


@pytest.mark.parametrize("case", BODIES)
def test_a_method_that_fails_fails_its_own_row_alone(outcome, case):
    assert BODIES[case][2] in _reasons(outcome, *map(_named, BODIES))[_named(case)]


def test_what_a_method_touches_and_stores_is_on_its_record(outcome):
    (record,) = [record for record in outcome.records if record.method.name == "is_honest"]
    assert record.state == "ok", record.reason
    counted = record.counted
    assert counted.data_touched == {"hills/validation/labels": 60, "lakes/train/images": 96}
    assert (counted.gradient_images, counted.forward_images) == (10, 7)
    assert counted.extra_parameters == (3 * 8 + 3) + (48 * 16 + 16 + 2 * 16 + 16 * 8 + 8)
    assert counted.selection_images == 5 * 180
    assert (record.method.origin, record.method.track) == ("file", "labelled")


def test_a_failed_row_is_tried_again_until_it_is_mended_and_an_ok_row_is_not(tiny_run, plugin):
    honest, todo = "return Edit(given.pretrained)", []
    watcher = Watcher(lambda jobs, _done, _workers: todo.append([job.label for job in jobs]))
    states = []
    for body in ("raise ValueError", "raise ValueError", honest, honest):
        outcome = tiny_run("sample", plugin=plugin(body), watcher=watcher)
        states += [r.state for r in outcome.records if r.method.name == "sample"]
    assert states == ["failed", "failed", "ok", "ok"]
    assert todo[1:] == [["plain, standard: sample"], ["plain, standard: sample"], []]


def test_a_method_that_ends_its_process_is_a_failed_row(tiny_run, file, monkeypatch):
    def died_in_it(jobs, context, *, listener, **options):
        mortal = [job for job in jobs if job.label.endswith("ends_its_process")]
        immortal = [job for job in jobs if job not in mortal]
        execute(immortal, context, listener=listener, **options)
        for job in mortal:
            listener(Event("died", job))

    monkeypatch.setattr("taskmark.engine.run.execute", died_in_it)
    reasons = _reasons(tiny_run("ends_its_process", plugin=file), "ends_its_process")
    assert "The process that ran it was ended." in reasons["ends_its_process"]


def test_a_method_that_takes_too_long_fails(tiny_suite, tiny_store, tmp_path, file):
    config = RunConfig(
        suite=str(tiny_suite),
        out=tmp_path / "late",
        methods=(MethodChoice("sleeps"),),
        device="cpu",
        plugins=(file,),
        workers=0,
        store=tiny_store,
        time_limit=5,
    )
    assert "timed out after 5 s" in _reasons(run(config), "sleeps")["sleeps"]


def test_a_method_that_ends_its_process_fails_its_row_in_a_worker_too(tiny_run, file):
    reasons = _reasons(tiny_run("ends_its_process", plugin=file, workers=1), "ends_its_process")
    words = "The method 'ends_its_process' ended its process with the exit code 3"
    assert words in reasons["ends_its_process"]


def test_a_stage_that_loses_its_process_ends_the_run_in_a_sentence(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "taskmark.engine.run.execute",
        lambda jobs, _context, *, listener, **_options: listener(Event("died", jobs[0])),
    )
    with pytest.raises(TaskmarkError, match="process was ended while reading the data of hills"):
        tiny_run(store=tmp_path / "store")
