"""A suite of text runs from the plan to the page: only its provider and its head know that."""

from __future__ import annotations

import pytest
import site_faults
import text_provider
import tiny_provider
import torch

from taskmark.config import RunConfig
from taskmark.engine.run import run
from taskmark.reports import build
from taskmark.stages.task_inputs import fingerprint

TASKS = ("sum", "twice", "thrice")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    hashes = {name: fingerprint(text_provider.task(name)) for name in TASKS}
    text = tiny_provider.TINY.format(
        version="0.1",
        hills=hashes["sum"],
        lakes=hashes["twice"],
        woods=hashes["thrice"],
        plain=text_provider.weights_sha256("plain"),
        worded=text_provider.weights_sha256("worded"),
    )
    for old, new in zip(("hills", "lakes", "woods"), TASKS, strict=True):
        text = text.replace(old, new)
    text = text.replace("tiny_provider", "text_provider").replace('"probed"', '"own"')
    text = text.replace("epochs = 3", "epochs = 40") + "\n[protocol.negation]\n"
    (folder / "text.toml").write_text(text, "utf-8")
    config = RunConfig(
        suite=str(folder / "text.toml"),
        out=folder / "out",
        methods=("task_arithmetic", "ties", "tangent_fine_tuning"),
        negation=True,
        localisation=True,
        workers=0,
        device="cpu",
        store=folder / "store",
    )
    return run(config), folder / "out"


def test_every_row_is_there_but_that_of_probing_which_has_no_classes(outcome):
    records = outcome[0].records
    states = {(r.method.name, r.recipe): r.state for r in records}
    failed = {name for (name, _), state in states.items() if state == "failed"}
    assert failed <= {"linear_probing"}
    assert states["task_arithmetic", "standard"] == states["ties", "standard"] == "ok"
    assert states["tangent_fine_tuning", "tangent"] == "ok"


def test_experts_learn_their_task_and_answers_are_those_of_the_model(outcome):
    rows = {(r.method.name, r.recipe): r for r in outcome[0].records}
    experts, pretrained = rows["experts", "standard"], rows["pretrained", "standard"]
    assert experts.accuracy > pretrained.accuracy + 0.3
    model = text_provider.backbone("plain")[1]
    for task in pretrained.tasks:
        test = text_provider.task(task.task).test
        with torch.no_grad():
            answers = model(torch.from_numpy(test.images)).argmax(1).numpy()
        assert task.n_correct == (answers == test.labels).sum()


def test_metrics_and_pages_are_made_of_them(outcome):
    found, out = outcome
    assert found.of("disentanglement")
    assert found.of("negation")
    assert found.of("localisation")
    build(out)
    assert site_faults.faults(out / "site") == []
