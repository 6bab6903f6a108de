"""A paper's protocol over a suite: its search is used, and its records stand apart."""

from __future__ import annotations

import pytest
from test_papers import VALID, written

from taskmark.config import RunConfig
from taskmark.engine.plan import plan
from taskmark.engine.run import prepare, run
from taskmark.errors import TaskmarkError
from taskmark.papers.paper_file import Budget, PaperRun, load, read
from taskmark.papers.runs import (
    choose_backbones,
    choose_suite,
    lay_over_suite,
    plan_runs,
    rows_left_out,
)
from taskmark.suite.suite_file import read as read_suite


@pytest.fixture
def paper(tmp_path):
    found = read(written(tmp_path, VALID))
    runs = {
        "sum": found.runs["sum"],
        "trimmed": PaperRun(method="ties", hyperparameters={"density": 0.5}, scales=(0.8, 2.5)),
        "tangent": PaperRun(method="tangent_fine_tuning", recipe="tangent"),
        "read linearly": PaperRun(method="post_hoc_linearisation", recipe="post_hoc"),
    }
    return found.model_copy(update={"runs": runs, "search": Budget(trials=3)})


def identities(suite, config, store):
    ready = prepare(config.model_copy(update={"store": store}), suite=suite)
    return [(stage.name, stage.identity) for stage in plan(ready.request)]


def test_the_search_is_the_papers_and_the_rest_the_suites(paper, tiny_suite):
    of_suite = read_suite(tiny_suite)
    laid_over = lay_over_suite(paper, of_suite)
    assert laid_over.facts.edition == "0.1+made-up"
    assert laid_over.protocol.trials == 3
    assert laid_over.protocol.scale_ranges == {"task_arithmetic": (0.0, 2.0), "ties": (0.8, 2.5)}
    assert laid_over.protocol.gradient_images == of_suite.protocol.gradient_images
    assert laid_over.protocol.standard == of_suite.protocol.standard
    assert (laid_over.tasks, laid_over.backbones) == (of_suite.tasks, of_suite.backbones)
    assert of_suite == read_suite(tiny_suite)


@pytest.mark.parametrize(
    "change",
    [
        {"search": Budget(trials=4)},
        {"search": Budget(trials=3, gradient_images=7)},
        {"runs": {"sum": PaperRun(method="task_arithmetic", scales=(0.0, 1.5))}},
        {"disentanglement": True},
    ],
)
def test_another_protocol_is_another_suite(paper, tiny_suite, change):
    of_suite = read_suite(tiny_suite)
    other = paper.model_copy(update=change)
    assert lay_over_suite(other, of_suite).sha256 != lay_over_suite(paper, of_suite).sha256


def test_experts_are_shared_with_runs_of_the_suite_and_records_are_not(paper, tiny_suite, tmp_path):
    of_suite = read_suite(tiny_suite)
    (config, *_) = plan_runs(paper, RunConfig())
    theirs, ours = (
        set(identities(suite, config, tmp_path))
        for suite in (lay_over_suite(paper, of_suite), of_suite)
    )
    both = {kind for kind, _ in theirs & ours}
    assert both == {"data", "inputs", "heads", "experts", "task_vectors", "expert_reference"}
    assert {kind for kind, _ in theirs - ours} == {"records"}


def test_every_recipe_is_run_by_itself(paper):
    asked = plan_runs(paper, RunConfig(seeds=(3,)))
    found = {(s.recipes, tuple(choice.name for choice in s.methods)) for s in asked}
    assert found == {
        (("standard",), ("task_arithmetic", "ties")),
        (("tangent",), ("tangent_fine_tuning",)),
        (("post_hoc",), ("post_hoc_linearisation",)),
    }
    assert {s.seeds for s in asked} == {(3,)}
    assert dict(asked[0].methods[1].hyperparameters) == {"density": 0.5}


def test_experts_that_are_brought_along_leave_out_rows_that_need_others(paper, tmp_path):
    asked = plan_runs(paper, RunConfig(experts=tmp_path), tuned="standard")
    assert [selection.recipes for selection in asked] == [("standard",), ("post_hoc",)]
    assert {selection.experts for selection in asked} == {tmp_path}
    assert rows_left_out(paper, "standard") == "tangent"
    assert rows_left_out(paper, "tangent") == "sum, trimmed, read linearly"


def test_scales_are_tried_where_the_paper_tries_them(paper, tiny_suite, tiny_store, tmp_path):
    laid_over = lay_over_suite(paper, read_suite(tiny_suite))
    places = {"out": tmp_path / "out", "store": tiny_store}
    (config, *_) = plan_runs(paper, RunConfig(device="cpu", workers=0, **places))
    outcome = run(config, suite=laid_over)
    curves = {r.method.name: [t.scale for t in r.curve] for r in outcome.records if r.curve}
    assert curves["task_arithmetic"] == [0.0, 1.0, 2.0]
    assert curves["ties"] == [0.8, 1.65, 2.5]
    assert {record.suite.edition for record in outcome.records} == {"0.1+made-up"}
    assert not outcome.of("disentanglement")


@pytest.mark.parametrize("interval", ["[1.0, 0.5]", "[0.0, inf]", "[nan, 1.0]"])
def test_a_range_of_a_suite_that_is_no_interval_is_refused(tiny_suite, tmp_path, interval):
    path = tmp_path / "tiny.toml"
    text = tiny_suite.read_text("utf-8") + f"\n[protocol.scale_ranges]\nties = {interval}\n"
    path.write_text(text, "utf-8")
    with pytest.raises(TaskmarkError, match="the range of ties needs two finite numbers"):
        read_suite(path)


def test_backbones_are_the_papers_in_its_order():
    paper = load("tangent")
    assert choose_backbones(paper, ()) == paper.backbones
    assert choose_backbones(paper, paper.backbones[2:0:-1]) == paper.backbones[1:]
    with pytest.raises(TaskmarkError, match="did you mean 'clip-b-32-openai'"):
        choose_backbones(paper, ("clip-b-32",))


def test_only_suites_that_the_paper_names_can_be_asked_for():
    paper = load("tangent")
    assert choose_suite(paper, None) == "clip-8@1.0"
    assert choose_suite(paper, "clip-8-imagenet-control") == "clip-8-imagenet-control@1.0"
    with pytest.raises(TaskmarkError, match="no suite of tangent called 'mini'"):
        choose_suite(paper, "mini")
