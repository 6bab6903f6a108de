"""Each real suite whole at toy length: all its tasks on all its backbones, and all that can be run.

They take a while, so `nox -s complete` runs them, and `nox -s tests` does not.
"""

from __future__ import annotations

import csv
import json

import jsonschema
import pytest
import toy_suites
from site_faults import faults
from typer.testing import CliRunner

from taskmark.cli import app
from taskmark.config import RunConfig
from taskmark.engine.run import run
from taskmark.plugins.registry import find
from taskmark.suite.suite_file import load

pytestmark = pytest.mark.complete

METHODS = {
    "weights": ("task_arithmetic", "ties", "breadcrumbs", "iso_c", "tsv_m", "emr", "consensus"),
    "unlabelled": ("adamerging", "regmean", "fisher", "dv_basi_unsupervised"),
    "labelled": ("atlas", "dv_basi", "greedy_scales"),
}
NAMES = [name for names in METHODS.values() for name in names]
RECIPES = ("standard", "tangent", "post_hoc")
EVERYWHERE = ("ties", "adamerging", "dv_basi")
"""On all backbones; the other methods are run on the first one alone."""

NOT_LINEARISED = {("regmean", "tangent"), ("regmean", "post_hoc")}
"""Rows that fail with a sentence: the method needs the inputs of layers."""

FEW = 8  # tasks

SUITES = ("clip-20-1.0", "clip-14-1.0", "clip-8-1.0", "clip-8-imagenet-control-1.0")
"""The largest first: the others find its experts in the store."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    names = [*load("clip-20").tasks, "imagenet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        patch.setitem(toy_suites.N_ROWS, "train", 60)  # so that validation has six to learn from
        return toy_suites.make_data(tmp_path_factory.mktemp("data"), names, patch)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def test_methods_of_every_track_are_run():
    tracks = {name: found.method.track for name, found in find().items()}
    assert {name: tracks[name] for name in NAMES} == {
        name: track for track, names in METHODS.items() for name in names
    }


@pytest.mark.parametrize("suite", [*SUITES, "closed-vocabulary-1.0"])
def test_all_of_a_suite_comes_out_as_a_board(suite, data, store, small, monkeypatch, tmp_path):  # noqa: ARG001
    for name, value in data.environment().items():
        monkeypatch.setenv(name, value)
    path = toy_suites.shortened(suite, tmp_path)
    whole, out = load(str(path)), tmp_path / "out"
    first = whole.default_backbones[0]
    # Of twenty tasks, one recipe of everything takes as long as all three of eight.
    recipes = RECIPES if len(whole.tasks) == FEW else RECIPES[:1]
    failing = {row for row in NOT_LINEARISED if row[1] in recipes}

    def start(**selected):
        methods = selected.pop("names")
        config = RunConfig(
            suite=str(path), out=out, methods=methods, device="cpu", store=store, **selected
        )
        return run(config)

    broad = start(names=EVERYWHERE, backbones=tuple(whole.backbones), recipes=RECIPES[:2])
    deep = start(names=NAMES, backbones=(first,), recipes=recipes, localisation=True)
    negated = start(names=("ties",), backbones=(first,), recipes=recipes, negation=True).of(
        "negation"
    )
    records = {record.record_id: record for record in (*broad.records, *deep.records)}.values()
    failed = [record for record in records if record.state != "ok"]
    assert {(record.method.name, record.recipe) for record in failed} == failing, failed
    assert all("Gram matrices of layer inputs" in record.reason for record in failed)
    scored = [record for record in records if record.state == "ok"]
    assert {len(record.tasks) for record in scored} == {len(whole.tasks)}
    assert {result.task for record in scored for result in record.tasks} == set(whole.tasks)
    everywhere = {(name, recipe) for name in whole.backbones for recipe in RECIPES[:2]}
    for found in (broad.records, broad.of("disentanglement")):
        assert {(record.backbone, record.recipe) for record in found} == everywhere
    ran = {record.method.name for record in deep.records}
    assert ran >= {*NAMES, "experts", "pretrained", "linear_probing", "weight_averaging"}
    assert {record.recipe for record in deep.of("disentanglement")} == set(recipes)
    of = {(record.method.name if record.method else "itself", record.recipe) for record in negated}
    assert of == {(name, recipe) for name in ("itself", "ties") for recipe in recipes}
    assert [record.backbone for record in deep.of("localisation")] == [first]
    controls = {c.task for record in negated for task in record.tasks for c in task.controls}
    assert controls == set(whole.controls or whole.tasks)
    as_published(out, list(records), first)


def as_published(out, records, backbone):
    """See that records, tables and pages are what a reader of them expects."""
    assert CliRunner().invoke(app, ["report", "--out", str(out)]).exit_code == 0
    schema = json.loads((out / "record.schema.json").read_text("utf-8"))
    for record in records:
        text = (out / "records" / f"{record.record_id[:16]}.json").read_text("utf-8")
        jsonschema.validate(json.loads(text), schema)
    with (out / "records.csv").open(encoding="utf-8") as file:
        # A row that failed has one line, which says so.
        assert len(list(csv.DictReader(file))) == sum(max(1, len(r.tasks)) for r in records)
    assert faults(out / "site") == []
    edition = f"{records[0].suite.name}@{records[0].suite.edition}"
    home = (out / "site" / "index.html").read_text("utf-8")
    assert edition in home
    for one in {record.backbone for record in records}:
        (board,) = (out / "site").rglob(f"board-{one}.html")
        page = board.read_text("utf-8")
        assert all(name in page for name in (NAMES if one == backbone else EVERYWHERE))
    for task in {result.task for record in records for result in record.tasks}:
        assert len(list((out / "site").rglob(f"task-{task}.html"))) == 1
