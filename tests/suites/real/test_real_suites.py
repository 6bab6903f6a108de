"""The real suites, from files as the hub has them to a board with all their tasks, at toy length.

`test_complete_runs.py` runs them on all their backbones, and more of what can be run.
"""

from __future__ import annotations

import pytest
import toy_suites
from site_faults import faults

from taskmark import reports
from taskmark.config import RunConfig
from taskmark.engine.run import Watcher, run
from taskmark.plugins.method_choice import MethodChoice
from taskmark.suite.suite_file import load

CHOICES = (MethodChoice("task_arithmetic"), MethodChoice("ties"))
METHODS = {
    "linear_probing", "pretrained", "experts", "weight_averaging", "task_arithmetic", "ties",
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    names = [*load("clip-20").tasks, "imagenet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        return toy_suites.make_data(tmp_path_factory.mktemp("data"), names, patch)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """What a suite makes, another finds: the suites of CLIP share their tasks."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def toy(data, store, small, monkeypatch, tmp_path):  # noqa: ARG001 - small backbones must be there
    """Run a suite at toy length -> what came out, what was said, and the folder."""
    for name, value in data.environment().items():
        monkeypatch.setenv(name, value)

    def start(suite: str, **chosen):
        said: list[str] = []
        config = RunConfig(
            suite=str(toy_suites.shortened(f"{suite}-1.0", tmp_path)),
            out=tmp_path / "out",
            methods=CHOICES,
            **chosen,
            device="cpu",
            workers=0,
            store=store,
        )
        return run(config, Watcher(say=said.append)), said, tmp_path / "out"

    return start


@pytest.mark.parametrize(
    ("suite", "backbone", "recipes"),
    [
        ("clip-8", "clip-b-32-openai", ("standard",)),
        ("closed-vocabulary", "dinov2-b-14", ("standard", "tangent")),
    ],
)
def test_each_suite_comes_out_as_a_board_with_all_its_tasks(toy, suite, backbone, recipes):
    outcome, said, out = toy(suite, backbones=(backbone,), recipes=recipes)
    tasks = list(load(suite).tasks)
    rows = {(record.method.name, record.recipe) for record in outcome.records}
    assert rows == {(method, recipe) for method in METHODS for recipe in recipes}
    for record in outcome.records:
        assert record.state == "ok", record.reason
        assert [result.task for result in record.tasks] == tasks
        assert {result.n for result in record.tasks} == {toy_suites.N_ROWS["test"]}
        assert record.suite.edition.startswith("1.0+unresolved.")
        assert set(record.provenance.resolved) == {
            *(f"tasks.{name}" for name in tasks),
            f"backbones.{backbone}",
        }
    assert {record.recipe for record in outcome.of("disentanglement")} == set(recipes)
    of = {record.method.name: record for record in outcome.records if record.recipe == "standard"}
    # Probed heads leave nothing to learn of squares of one colour.
    learnt = 0.2 if of["experts"].heads == "zero-shot" else 0.0
    assert of["experts"].accuracy >= of["pretrained"].accuracy + learnt
    (sentence,) = said
    assert "is not frozen" in sentence
    assert outcome.records[0].suite.edition in sentence
    page = reports.build(out)
    assert outcome.records[0].suite.edition in page.read_text("utf-8")
    assert faults(page.parent) == []


def test_imagenet_controls_negation_without_being_merged_and_the_ntk_is_looked_at(toy):
    outcome, _, out = toy("clip-8-imagenet-control", negation=True, localisation=True)
    tasks = list(load("clip-8").tasks)
    assert {tuple(result.task for result in r.tasks) for r in outcome.records} == {tuple(tasks)}
    itself = next(record for record in outcome.of("negation") if record.method is None)
    controls = {n.target.task: [result.task for result in n.controls] for n in itself.tasks}
    assert controls == {task: ["imagenet"] for task in tasks}
    assert "tasks.imagenet" in itself.provenance.resolved
    assert len(outcome.of("localisation")[0].pairs) == len(
        load("clip-8").protocol.disentanglement.pairs
    )
    assert faults(reports.build(out).parent) == []
