"""The loss on all tasks at once: its value, what it holds out, what it may see."""

import itertools

import pytest
import torch

from taskmark.conformance import miniature
from taskmark.errors import DataRefusedError, TaskmarkError
from taskmark.methods.atlas import Atlas
from taskmark.methods.dv_basi import DvBasiUnsupervised
from taskmark.methods.task_arithmetic import TaskArithmetic
from taskmark.methods.task_loss import TaskLoss, entropy


def naive(given, vector, chosen, *, labelled):
    """sum_t mean_x of CE or entropy, task by task and image by image, in double precision."""
    total = 0.0
    for task in given.tasks:
        logits = given.logits(vector, task, given.images(task)[chosen]).double()
        p = logits.softmax(-1)
        if labelled:
            labels = given.labels(task)[chosen]
            values = [-float(row[label].log()) for row, label in zip(p, labels, strict=True)]
        else:
            values = [-float((row * row.log()).sum()) for row in p]
        total += sum(values) / len(values)
    return total


@pytest.mark.parametrize("method", [Atlas, DvBasiUnsupervised])
def test_the_loss_is_the_sum_of_the_tasks_means(method):
    labelled = method.track == "labelled"
    given = miniature(method)
    loss = TaskLoss(given, labelled=labelled)
    vector = given.task_vectors.mean(0)
    held_out = torch.arange(4, 40, 5)
    with torch.no_grad():
        expected = naive(given, vector, held_out, labelled=labelled)
        found = loss(vector, dict.fromkeys(given.tasks, held_out))
    assert loss.held_out(vector) == pytest.approx(expected, rel=1e-5)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_the_entropy_by_hand():
    even = torch.zeros(2, 4)
    assert float(entropy(even)) == pytest.approx(1.3862944)  # ln 4
    certain = torch.tensor([[0.0, 100.0]])
    assert float(entropy(certain)) == pytest.approx(0.0, abs=1e-6)
    both = torch.tensor([[0.0, 0.0], [0.0, 100.0]])
    assert float(entropy(both)) == pytest.approx(0.6931472 / 2)


def test_every_fifth_image_is_never_in_a_batch_and_all_others_are():
    loss = TaskLoss(miniature(Atlas), labelled=True)
    assert loss.fit_size == 32
    batches = list(itertools.islice(loss.batches(8), 4))
    for task in ("apples", "boats", "clouds"):
        seen = torch.cat([batch[task] for batch in batches]).sort().values
        assert seen.tolist() == [i for i in range(40) if i % 5 != 4]


def test_batches_have_the_same_number_of_each_task_and_go_on_for_ever():
    loss = TaskLoss(miniature(Atlas), labelled=True)
    for batch in itertools.islice(loss.batches(50), 3):  # more than there are images
        assert [len(chosen) for chosen in batch.values()] == [50, 50, 50]


def test_the_order_of_batches_comes_from_the_seed():
    def first(seed):
        loss = TaskLoss(miniature(Atlas, seed=seed), labelled=True)
        return next(loss.batches(8))["apples"].tolist()

    assert first(1) == first(1) != first(2)


def test_one_batch_is_one_pass_through_the_model():
    given = miniature(Atlas)
    loss = TaskLoss(given, labelled=True)
    calls = []
    inner = given.features
    given.features = lambda vector, inputs, **at: (
        calls.append(len(inputs)) or inner(vector, inputs, **at)
    )
    leaf = torch.zeros_like(given.pretrained).requires_grad_()
    loss(leaf, next(loss.batches(8)))
    assert calls == [24]
    assert given.gradient_images == 24


def test_without_labels_none_are_touched():
    given = miniature(DvBasiUnsupervised)
    TaskLoss(given, labelled=False)
    assert set(given.touched) == {f"{task}/validation/images" for task in given.tasks}


@pytest.mark.parametrize(("method", "labelled"), [(DvBasiUnsupervised, True), (TaskArithmetic, 0)])
def test_the_track_is_kept(method, labelled):
    with pytest.raises(DataRefusedError):
        TaskLoss(miniature(method), labelled=bool(labelled))


def test_too_few_images_are_named():
    given = miniature(Atlas)
    given._data._data = {
        key: (inputs[:4], labels[:4]) for key, (inputs, labels) in given._data._data.items()
    }
    with pytest.raises(TaskmarkError, match="'apples' has 4 validation images"):
        TaskLoss(given, labelled=True)


def test_some_tasks_alone_are_summed_where_they_are_named():
    given = miniature(Atlas)
    loss = TaskLoss(given, labelled=True, tasks=["boats"])
    held_out = torch.arange(4, 40, 5)
    with torch.no_grad():
        logits = given.logits(given.task_vectors[0], "boats", given.images("boats")[held_out])
        expected = torch.nn.functional.cross_entropy(logits, given.labels("boats")[held_out])
    assert loss.held_out(given.task_vectors[0]) == pytest.approx(float(expected), rel=1e-5)
    assert loss.n_tasks == 1
    assert {key.split("/")[0] for key in given.touched} == {"boats"}


def test_nothing_is_held_out_where_that_is_off():
    loss = TaskLoss(miniature(Atlas), labelled=True, hold_out=False)
    assert loss.fit_size == 40
    batch = next(loss.batches(40))
    for chosen in batch.values():
        assert chosen.sort().values.tolist() == list(range(40))
