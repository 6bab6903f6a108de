"""What a record says of test images, against a model evaluated from the definitions."""

from __future__ import annotations

import pytest
import tiny_provider
import torch
from tiny_setting import experts_of, request_of, store_at
from torch.func import functional_call

from taskmark.contract.weights import WeightSpace
from taskmark.records.packing import unpack_bits

TASKS = ("hills", "lakes", "woods")


@pytest.fixture
def outcome(tiny_run):
    return tiny_run("task_arithmetic")


@pytest.fixture
def stand(outcome, tiny_suite, tiny_store):
    assert outcome.records
    return store_at(tiny_store), experts_of(request_of(tiny_suite, "task_arithmetic"))


@pytest.fixture
def predicted(stand):
    """Predictions from a model built by hand -> (classes, labels) of a split of a task."""
    store, experts = stand
    encoder = tiny_provider.backbone("plain")[1]
    space = WeightSpace.of(encoder)
    weights = space.flatten(dict(encoder.named_parameters()))

    def classes(task, vector, split="test"):
        data = getattr(tiny_provider.task(task), split)
        images = torch.from_numpy(data.images).permute(0, 3, 1, 2)
        state = space.unflatten(weights + vector)
        with torch.no_grad():
            features = functional_call(encoder, state, (tiny_provider.Stem()(images),))
        return experts.heads[task].read(store).predict(features), torch.from_numpy(data.labels)

    return classes


@pytest.fixture
def vectors(stand):
    store, experts = stand
    return store.get(experts.vectors).tensors["task_vectors"]


def _row(outcome, name):
    (record,) = [record for record in outcome.records if record.method.name == name]
    return record


def test_the_bits_are_those_of_the_merged_model_at_the_chosen_scale(outcome, predicted, vectors):
    record = _row(outcome, "task_arithmetic")
    for result in record.tasks:
        classes, labels = predicted(result.task, record.scale * vectors.sum(0))
        assert unpack_bits(result.bits, result.n).tolist() == (classes == labels).tolist()


def test_the_curve_is_measured_on_validation_and_not_on_test(outcome, predicted, vectors):
    record = _row(outcome, "task_arithmetic")
    means = {}
    for split in ("validation", "test"):
        means[split] = []
        for trial in record.curve:
            pairs = [predicted(task, trial.scale * vectors.sum(0), split) for task in TASKS]
            right = [float((classes == labels).double().mean()) for classes, labels in pairs]
            means[split].append(sum(right) / 3)
    assert [t.accuracy for t in record.curve] == pytest.approx(means["validation"], abs=1e-12)
    assert means["validation"] != pytest.approx(means["test"], abs=1e-3)


def test_the_normaliser_is_the_expert_tuned_by_the_suite(outcome, predicted, vectors):
    expert = {}
    for row, task in enumerate(TASKS):
        classes, labels = predicted(task, vectors[row])
        expert[task] = float((classes == labels).double().mean())
    for record in outcome.records:
        ratios = []
        for result in record.tasks:
            ratios.append(result.accuracy / expert[result.task])
            assert result.normalised_accuracy == pytest.approx(ratios[-1], abs=1e-12)
        assert record.normalised_accuracy == pytest.approx(sum(ratios) / 3, abs=1e-12)
    assert _row(outcome, "experts").accuracy == pytest.approx(sum(expert.values()) / 3)


def test_disagreement_is_the_share_of_other_classes_than_the_experts(outcome, predicted, vectors):
    record = _row(outcome, "pretrained")
    for row, result in enumerate(record.tasks):
        own, _ = predicted(result.task, 0 * vectors[0])
        theirs, _ = predicted(result.task, vectors[row])
        assert result.disagreement == pytest.approx(float((own != theirs).double().mean()))
    assert any(result.disagreement > 0 for result in record.tasks)


def test_an_edit_that_serves_by_experts_is_read_as_the_normaliser_was(outcome, predicted, vectors):
    record = _row(outcome, "experts")
    for place, result in enumerate(record.tasks):
        classes, labels = predicted(result.task, vectors[place])
        assert unpack_bits(result.bits, result.n).tolist() == (classes == labels).tolist()
        assert result.disagreement == 0
