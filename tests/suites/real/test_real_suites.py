"""The real suites, from files as the hub has them to a board, at toy length."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
import toy_suites

from taskmark import reports
from taskmark.plan import Selection
from taskmark.registry import MethodChoice
from taskmark.run import Options, Watcher, run
from taskmark.suite import load

CHOICES = (MethodChoice("task_arithmetic"), MethodChoice("ties"))
ALWAYS = {"linear_probing", "pretrained", "experts", "weight_averaging"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    names = [*load("clip-20").tasks, "imagenet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        return toy_suites.make_data(tmp_path_factory.mktemp("data"), names, patch)


@pytest.fixture
def toy(data, small, monkeypatch, tmp_path):  # noqa: ARG001 - small backbones must be in place
    """Run a suite at toy length -> what came out, what was said, and the folder."""
    for name, value in data.environment().items():
        monkeypatch.setenv(name, value)

    def start(suite: str, *, tasks=(), **chosen):
        said: list[str] = []
        options = Options(
            suite=str(toy_suites.shortened(suite, tmp_path)),
            out=tmp_path / "out",
            selection=Selection(methods=CHOICES, **chosen),
            tasks=tasks,
            device="cpu",
            workers=0,
            store=tmp_path / "store",
        )
        return run(options, Watcher(say=said.append)), said, tmp_path / "out"

    return start


def dead_links(site):
    """Links between pages that lead nowhere."""
    return [
        (page.name, target)
        for page in site.rglob("*.html")
        for target in re.findall(r'<a [^>]*href="(?!https?:)([^"#]+)', page.read_text("utf-8"))
        if not (page.parent / unquote(target)).exists()
    ]


def test_clip_20_comes_out_as_a_board_with_all_its_tasks(toy):
    outcome, said, out = toy("clip-20-1.0")
    assert {record.method.name for record in outcome.records} == ALWAYS | {
        "task_arithmetic",
        "ties",
    }
    for record in outcome.records:
        assert record.state == "ok", record.reason
        assert [result.task for result in record.tasks] == list(load("clip-20").tasks)
        assert {result.n for result in record.tasks} == {toy_suites.N_ROWS["test"]}
        assert record.suite.version.startswith("1.0+unresolved.")
        assert set(record.provenance.resolved) == {
            *(f"tasks.{name}" for name in load("clip-20").tasks),
            "backbones.clip-b-32-openai",
        }
    experts = next(r for r in outcome.records if r.method.name == "experts")
    pretrained = next(r for r in outcome.records if r.method.name == "pretrained")
    assert experts.accuracy > pretrained.accuracy + 0.3
    (sentence,) = said
    assert "is not frozen" in sentence
    assert outcome.records[0].suite.version in sentence
    page = reports.build(out)
    assert outcome.records[0].suite.version in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("suite", "tasks", "backbones"),
    [
        ("clip-14-1.0", ("stl10", "fer2013"), ("clip-l-14-laion2b",)),
        ("clip-8-1.0", ("sun397", "svhn"), ("clip-b-16-openai",)),
        ("closed-vocabulary-1.0", ("gtsrb", "cars"), ("dino-b-16", "vit-b-16-random")),
    ],
)
def test_a_part_of_the_other_suites_runs_on_their_own_backbones(toy, suite, tasks, backbones):
    outcome, _, out = toy(suite, tasks=tasks, backbones=backbones, recipes=("standard", "tangent"))
    stands = {(record.backbone, record.recipe) for record in outcome.records}
    recipes = ("standard", "tangent")
    assert stands == {(backbone, recipe) for backbone in backbones for recipe in recipes}
    for record in outcome.records:
        assert record.state == "ok", record.reason
        assert {result.task for result in record.tasks} == set(tasks)
    assert reports.build(out).is_file()


def test_imagenet_controls_negation_without_being_merged(toy):
    outcome, _, out = toy("clip-8-imagenet-control-1.0", tasks=("mnist", "svhn"), negation=True)
    assert {result.task for record in outcome.records for result in record.tasks} == {
        "mnist",
        "svhn",
    }
    itself = next(record for record in outcome.negation if record.method is None)
    controls = [[result.task for result in negated.controls] for negated in itself.tasks]
    assert controls == [["imagenet"], ["imagenet"]]
    assert "tasks.imagenet" in itself.provenance.resolved
    assert dead_links(reports.build(out).parent) == []
