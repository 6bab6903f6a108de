"""Negation by a method: what it makes of one task alone is subtracted, with a record of its own."""

from __future__ import annotations

import logging

import pytest
import torch
from tiny_setting import experts_of, request_of, store_at

from taskmark.config import RunConfig
from taskmark.contract.method import Method
from taskmark.engine.run import run
from taskmark.inference.scale_search import candidates
from taskmark.methods.ties import Ties
from taskmark.plugins.registry import get
from taskmark.records.negation_record import NegationRecord
from taskmark.records.record_files import read_kind
from taskmark.stages.negation import Negation, has_direction_of_its_own, sweep

PLUGIN = '''
from taskmark import Edit, Head, Method
import torch


class Doubled(Method):
    """The sum of the task vectors, twice, where those of other tasks are out of reach."""

    name = "doubled"

    def merge(self, given):
        assert len(given.tasks) == len(given.heads) == len(given.task_vectors) == 1
        assert given.task_vectors.untyped_storage().nbytes() < given.task_vectors.nbytes + 128
        return 2 * given.task_vectors.sum(0)


class OwnHeads(Method):
    """Brings heads of its own."""

    name = "own_heads"

    def edit(self, given):
        return Edit(given.task_vectors.sum(0), heads=given.heads)


class Nothing(Method):
    """Changes nothing."""

    name = "nothing"

    def merge(self, given):
        return torch.zeros_like(given.pretrained)


class Broken(Method):
    """Fails on a single task."""

    name = "broken"

    def merge(self, given):
        raise ValueError("one is not enough")


class Costly(Method):
    """Spends what it is granted, and scales by it."""

    name = "costly"
    track = "unlabelled"
    scale_range = (0.5, 3.0)

    def merge(self, given):
        return given.task_vectors.sum(0) * given.gradient_images_left / 1000
'''


@pytest.fixture(scope="module")
def suite_file(tiny_suite, tmp_path_factory):
    path = tmp_path_factory.mktemp("suite") / "tiny.toml"
    path.write_text(tiny_suite.read_text("utf-8") + "\n[protocol.negation]\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def negate(suite_file, tiny_store, tmp_path_factory):
    """Run methods with negation; built-in ones, or those of the plug-in."""
    plugin = tmp_path_factory.mktemp("plugin") / "five.py"
    plugin.write_text(PLUGIN, "utf-8")

    def start(*names, apart=False, out=None, suite=suite_file):
        config = RunConfig(
            suite=str(suite),
            out=out or tmp_path_factory.mktemp("out"),
            methods=names,
            recipes=("standard",),
            negation=True,
            device="cpu",
            workers=0,
            store=tiny_store,
            plugins=(plugin,) if apart else (),
        )
        return run(config).of("negation")

    return start


def _planned(suite_file, folder):
    request = request_of(suite_file, "task_arithmetic", recipes=("standard",), negation=True)
    return store_at(folder), next(Negation.plan(request))


def test_ties_negates_what_it_makes_of_each_task_alone(negate, suite_file, tiny_store):
    plain, record = negate("ties")
    assert plain.method is None
    assert record.method.name == "ties"
    assert record.method.hyperparameters == Ties().hyperparameters()
    store, negation = _planned(suite_file, tiny_store)
    experts = experts_of(request_of(suite_file, "ties"))
    weights = store.get(negation.experts.vectors)
    read_ = experts.reader(store, weights.tensors["pretrained"])
    splits = experts.validation(store)
    for task, vector, found in zip(
        weights.facts["tasks"], weights.tensors["task_vectors"], record.tasks, strict=True
    ):
        k = round(0.2 * len(vector))
        trimmed = torch.where(vector.abs() >= vector.abs().topk(k).values[-1], vector, 0.0)
        alphas = candidates((0.0, 2.0), 5)  # up to the end of the method's own range
        controls = [control.task for control in found.controls]
        assert found.curve == sweep(read_, trimmed, splits, task, controls, alphas)
    assert [task.curve for task in record.tasks] != [task.curve for task in plain.tasks]


def test_methods_that_keep_the_direction_have_no_record_of_their_own(negate):
    assert get("task_arithmetic").keeps_direction
    (record,) = negate("task_arithmetic")
    assert record.method is None


@pytest.mark.parametrize("name", ["pretrained", "experts", "linear_probing", "task_arithmetic"])
def test_who_has_no_direction_of_its_own(name):
    assert not has_direction_of_its_own(get(name))


def test_who_merges_no_single_task_is_not_asked():
    class Pair(Method):
        """Two alone."""

        name = "pair"
        n_tasks = (2, 2)

    assert has_direction_of_its_own(Ties)
    assert not has_direction_of_its_own(Pair)


def test_plugins_negate_too_and_see_one_task_alone(negate, suite_file, tiny_store):
    _, record = negate("doubled", apart=True)
    assert (record.method.name, record.method.origin) == ("doubled", "file")
    store, negation = _planned(suite_file, tiny_store)
    weights = store.get(negation.experts.vectors)
    twice = dict(zip(weights.facts["tasks"], 2 * weights.tensors["task_vectors"], strict=True))
    expected = negation._negated(store, twice)
    assert record.tasks == expected.tasks


@pytest.mark.parametrize("name", ["own_heads", "nothing"])
def test_without_a_direction_there_is_no_record_and_nothing_failed(negate, name, caplog):
    for _ in range(2):
        (record,) = negate(name, apart=True)
        assert record.method is None
    assert not caplog.records


def test_a_method_that_fails_leaves_the_run_standing_and_says_so(negate, caplog):
    with caplog.at_level(logging.WARNING):
        (record,) = negate("broken", apart=True)
    assert record.method is None
    assert "The negation by broken failed" in caplog.text
    assert "one is not enough" in caplog.text


def test_the_tasks_share_the_budget_and_alpha_goes_to_the_end_of_the_range(
    negate, suite_file, tiny_store
):
    _, record = negate("costly", apart=True)
    store, negation = _planned(suite_file, tiny_store)
    factor = 960 // 3 / 1000
    weights = store.get(negation.experts.vectors)
    scaled = dict(
        zip(weights.facts["tasks"], factor * weights.tensors["task_vectors"], strict=True)
    )
    expected = negation._negated(store, scaled, alphas=(0.0, 3.0))
    assert [trial.alpha for trial in record.tasks[0].curve] == [0.0, 0.75, 1.5, 2.25, 3.0]
    assert record.tasks == expected.tasks


def test_alpha_goes_to_the_end_of_the_range_that_the_suite_says(negate, suite_file, tmp_path):
    path = tmp_path / "tiny.toml"
    ranges = "\n[protocol.scale_ranges]\nties = [0.5, 1.5]\n"
    path.write_text(suite_file.read_text("utf-8") + ranges, "utf-8")
    _, record = negate("ties", suite=path)
    assert [trial.alpha for trial in record.tasks[0].curve] == [0.0, 0.375, 0.75, 1.125, 1.5]


def test_records_of_methods_are_read_and_named_apart(negate, tmp_path):
    made = negate("ties", out=tmp_path)
    assert sorted(record.record_id for record in read_kind(tmp_path, NegationRecord)) == sorted(
        record.record_id for record in made
    )
    plain, by_ties = sorted(made, key=lambda record: record.method is not None)
    assert plain.line().startswith("Negation, plain, standard: targets")
    assert by_ties.line().startswith("Negation, plain, standard, ties: targets")


def test_the_command_line_prints_both(suite_file, tiny_store, tmp_path, printed):
    text = printed(
        f"run --suite {suite_file} --store {tiny_store} --workers 0 --device cpu --negation "
        f"--method ties --recipe standard --out {tmp_path}"
    )
    assert "Negation, plain, standard: targets" in text
    assert "Negation, plain, standard, ties: targets" in text
