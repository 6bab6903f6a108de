"""aTLAS against a naive transcription: the graph through all task vectors, in double precision."""

import itertools

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from taskmark.conformance import miniature
from taskmark.contract.weights import Part
from taskmark.methods.atlas import Atlas
from taskmark.methods.task_loss import TaskLoss


def mean_loss(given, vector, chosen):
    """The sum over tasks of the cross-entropy on the chosen images."""
    return sum(
        functional.cross_entropy(
            given.logits(vector, task, given.images(task)[chosen[task]]),
            given.labels(task)[chosen[task]],
        )
        for task in given.tasks
    )


def naive_atlas(given, *, learning_rate, weight_decay, per_task, n_steps):
    """The vector after each step of torch's AdamW, with sum_t c[t, i] tau_t inside the graph."""
    parts = list(given.space)
    c = torch.zeros(len(given.tasks), len(parts), requires_grad=True)
    optimiser = torch.optim.AdamW([c], lr=learning_rate, weight_decay=weight_decay)

    def composed():
        return torch.cat(
            [c[:, i] @ given.task_vectors[:, part.slice] for i, part in enumerate(parts)]
        )

    vectors = []
    for chosen in itertools.islice(TaskLoss(given, labelled=True).batches(per_task), n_steps):
        optimiser.zero_grad()
        mean_loss(given, composed(), chosen).backward()
        optimiser.step()
        vectors.append(composed().detach())
    return vectors


def test_it_takes_the_steps_of_the_paper():
    # One epoch of 32 images, 16 of each task a step: two steps, after which it looks and ends.
    fields = {"learning_rate": 0.05, "weight_decay": 0.1}
    merged = Atlas(**fields, batch_size=48, epochs=1).merge(miniature(Atlas))
    expected = naive_atlas(miniature(Atlas), **fields, per_task=16, n_steps=2)[-1]
    assert merged.any()
    assert torch.allclose(merged, expected, atol=1e-5)


def test_it_keeps_the_end_of_the_best_of_ten_epochs():
    fields = {"learning_rate": 0.05, "weight_decay": 0.1}
    given = miniature(Atlas)
    merged = Atlas(**fields, batch_size=24, epochs=10).merge(given)
    ends = naive_atlas(miniature(Atlas), **fields, per_task=8, n_steps=40)[3::4]
    best = min(ends, key=TaskLoss(miniature(Atlas), labelled=True).held_out)
    assert float((merged - best).norm()) < 1e-3 * float(best.norm())


def test_it_fits_the_tasks_better_than_no_edit_and_than_the_sum():
    given = miniature(Atlas)
    loss = TaskLoss(given, labelled=True)
    merged = Atlas(learning_rate=0.05).merge(given)
    zero = torch.zeros_like(merged)
    assert loss.held_out(merged) < 0.9 * loss.held_out(zero)
    assert loss.held_out(merged) < 0.9 * loss.held_out(given.task_vectors.sum(0))


def test_the_result_is_a_combination_tensor_by_tensor():
    given = miniature(Atlas)
    merged = Atlas(learning_rate=0.05).merge(given)
    for part in given.space:
        columns = given.task_vectors[:, part.slice].T.double()
        fitted = (
            columns @ torch.linalg.lstsq(columns, merged[part.slice].double()[:, None]).solution
        )
        assert torch.allclose(fitted[:, 0].float(), merged[part.slice], atol=1e-5)


def test_a_scalar_a_task_combines_whole_task_vectors():
    given = miniature(Atlas)
    merged = Atlas(learning_rate=0.05, granularity="scalar").merge(given)
    columns = given.task_vectors.T.double()
    fitted = columns @ torch.linalg.lstsq(columns, merged.double()[:, None]).solution
    assert torch.allclose(fitted[:, 0].float(), merged, atol=1e-5)
    by_tensor = Atlas(learning_rate=0.05).merge(miniature(Atlas))
    assert not torch.allclose(by_tensor, merged, atol=1e-3)


def test_one_layout_of_one_part_makes_both_granularities_the_same():
    def whole(granularity):
        given = miniature(Atlas)
        object.__setattr__(given.space, "parts", (Part("all", 0, (given.space.size,)),))
        given.features = miniature(Atlas).features  # the model keeps its own layout
        return Atlas(granularity=granularity, epochs=2, batch_size=48).merge(given)

    assert torch.equal(whole("tensor"), whole("scalar"))


@pytest.mark.parametrize("budget", [0, 2])
def test_without_a_step_it_is_the_pretrained_model(budget):
    given = miniature(Atlas)
    given._gradient_budget = budget  # less than one image of each of the three tasks
    assert not Atlas().merge(given).any()
    assert given.gradient_images == 0


@pytest.mark.parametrize("budget", [100, 1000])
def test_the_budget_is_used_and_kept(budget):
    given = miniature(Atlas)
    given._gradient_budget = budget
    Atlas(epochs=1000, batch_size=30).merge(given)
    assert given.gradient_images == budget // 30 * 30


def test_only_validation_is_touched():
    given = miniature(Atlas)
    Atlas().merge(given)
    assert {key.split("/")[1] for key in given.touched} == {"validation"}


def test_the_defaults_are_the_papers():
    fields = Atlas().hyperparameters()
    assert (fields["learning_rate"], fields["weight_decay"], fields["epochs"]) == (1e-3, 0.1, 20)
    assert Atlas.scale_range is None


def test_with_partitions_entries_of_one_tensor_have_coefficients_of_their_own():
    def ratios(partitions):
        given = miniature(Atlas, tasks=("apples",))
        merged = Atlas(learning_rate=0.05, partitions=partitions).merge(given)
        found = merged / given.task_vectors[0]
        rounded = (1e4 * found).round()
        return [len(rounded[part.slice].unique()) for part in given.space]

    assert ratios(1) == [1, 1, 1]
    assert ratios(4) == [4, 4, 4]  # the bias, too


def test_partitions_learn_and_are_the_same_under_a_seed():
    loss = TaskLoss(miniature(Atlas), labelled=True)
    four = Atlas(learning_rate=0.05, partitions=4).merge(miniature(Atlas))
    assert loss.held_out(four) < 0.95 * loss.held_out(torch.zeros_like(four))
    again = Atlas(learning_rate=0.05, partitions=4).merge(miniature(Atlas))
    other = Atlas(learning_rate=0.05, partitions=4).merge(miniature(Atlas, seed=1))
    assert torch.equal(four, again)
    assert not torch.allclose(four, other, atol=1e-3)


def test_one_partition_is_the_default():
    assert Atlas().partitions == 1
    with pytest.raises(ValidationError):
        Atlas(partitions=0)
