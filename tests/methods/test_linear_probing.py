"""Linear probing: the backbone stays, the heads are the probe's, the data is declared."""

import pytest
import torch
from pydantic import ValidationError

from taskmark.conformance import miniature
from taskmark.inference.probing import STRENGTHS, probe
from taskmark.methods.linear_probing import LinearProbing


def test_the_backbone_stays_and_every_task_has_the_probed_head():
    given = miniature(LinearProbing)
    edit = LinearProbing().edit(given)
    assert not edit.vector.any()
    fresh = miniature(LinearProbing)
    zero = torch.zeros_like(fresh.pretrained)
    for task in fresh.tasks:
        expected = probe(
            fresh.features(zero, fresh.images(task, "train")),
            fresh.labels(task, "train"),
            fresh.features(zero, fresh.images(task)),
            fresh.labels(task),
            n_classes=3,
        )
        assert torch.equal(edit.heads[task].weight, expected.weight)
        assert torch.equal(edit.heads[task].bias, expected.bias)


def test_it_touches_train_and_validation_and_takes_no_gradient():
    given = miniature(LinearProbing)
    LinearProbing().edit(given)
    assert given.touched == {
        f"{task}/{split}/{what}": 40
        for task in given.tasks
        for split in ("train", "validation")
        for what in ("images", "labels")
    }
    assert (given.gradient_images, given.forward_images) == (0, 3 * 2 * 40)


def test_it_learns_more_than_chance():
    given = miniature(LinearProbing)
    edit = LinearProbing().edit(given)
    right = [
        (
            edit.heads[task].predict(given.features(edit.vector, given.images(task)))
            == given.labels(task)
        )
        for task in given.tasks
    ]
    assert torch.cat(right).float().mean() > 0.6


def test_the_strengths_are_those_of_the_field():
    given = miniature(LinearProbing)
    weak = LinearProbing(strengths=(1e-6,)).edit(given).heads["apples"]
    strong = LinearProbing(strengths=(1.0,)).edit(given).heads["apples"]
    assert weak.weight.norm() < 1e-3 < strong.weight.norm()
    assert LinearProbing().strengths == STRENGTHS


@pytest.mark.parametrize("strengths", [(), (0.0,), (-1.0,), (float("inf"),)])
def test_a_grid_without_positive_strengths_is_refused(strengths):
    with pytest.raises(ValidationError):
        LinearProbing(strengths=strengths)
