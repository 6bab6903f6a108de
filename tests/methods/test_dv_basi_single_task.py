"""Single-task DV-BASI: one model a task, scaled tensor by tensor, on its own task alone."""

import pytest
import torch

from taskmark.conformance import miniature
from taskmark.methods.dv_basi import DvBasi, DvBasiSingleTask
from taskmark.methods.task_loss import TaskLoss

FAST = {"learning_rate": 0.05, "batch_size": 8}


def held_out(given, task, vector):
    return TaskLoss(given, labelled=True, tasks=[task]).held_out(vector)


def test_each_task_has_a_scaling_of_its_own_expert():
    given = miniature(DvBasiSingleTask)
    edit = DvBasiSingleTask(**FAST).edit(given)
    assert not edit.vector.any()
    assert not edit.heads
    for task, vector in zip(given.tasks, given.task_vectors, strict=True):
        for part in given.space:
            a, b = vector[part.slice].double(), edit.per_task[task][part.slice].double()
            assert torch.allclose((a @ b) / (a @ a) * a, b, atol=1e-6)


def test_it_gains_on_images_that_it_did_not_learn_on_and_never_loses():
    given, twin = miniature(DvBasiSingleTask), miniature(DvBasiSingleTask)
    edit = DvBasiSingleTask(**FAST).edit(given)
    gains = [
        held_out(twin, task, vector) - held_out(twin, task, edit.per_task[task])
        for task, vector in zip(twin.tasks, twin.task_vectors, strict=True)
    ]
    assert min(gains) >= 0
    assert max(gains) > 0.01


def test_an_expert_that_nothing_improves_on_stays():
    given = miniature(DvBasiSingleTask)
    edit = DvBasiSingleTask(learning_rate=1e-9, initial_scale=500.0, epochs=1).edit(given)
    kept = [
        torch.equal(edit.per_task[task], vector)
        for task, vector in zip(given.tasks, given.task_vectors, strict=True)
    ]
    twin = miniature(DvBasiSingleTask)
    worse = [
        held_out(twin, task, 501 * vector) > held_out(twin, task, vector)
        for task, vector in zip(twin.tasks, twin.task_vectors, strict=True)
    ]
    assert any(worse)
    assert all(stays for stays, is_worse in zip(kept, worse, strict=True) if is_worse)


@pytest.mark.parametrize("budget", [0, 5, 100, 1200])
def test_the_tasks_share_the_budget(budget):
    given = miniature(DvBasiSingleTask)
    given._gradient_budget = budget
    DvBasiSingleTask(**FAST, patience=1000, epochs=1000).edit(given)
    assert given.gradient_images <= budget
    assert given.gradient_images >= budget - 3 * 4 * 8  # a batch an iteration is left at most


def test_what_one_task_gets_hangs_on_its_own_images_alone():
    def refined(tasks):
        given = miniature(DvBasiSingleTask, tasks=tasks)
        given._gradient_budget = 400 * len(tasks)
        return DvBasiSingleTask(**FAST).edit(given).per_task["apples"]

    # "apples" comes first by name, so that it draws the same batches.
    assert torch.equal(refined(("apples",)), refined(("clouds", "apples")))


def test_the_loop_has_the_hyperparameters_of_dv_basi():
    fields, loop = DvBasiSingleTask().hyperparameters(), DvBasi().hyperparameters()
    assert fields == {name: value for name, value in loop.items() if "start" not in name}
