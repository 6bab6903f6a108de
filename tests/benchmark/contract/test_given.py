"""What a method is handed, and what it is refused."""

from __future__ import annotations

import pytest
import torch
from given_samples import SPACE, Data
from torch import Tensor

from taskmark import Given, Head
from taskmark.errors import BudgetSpentError, DataRefusedError, TaskmarkError


def features(vector: Tensor, inputs: Tensor, _at: Tensor | None) -> Tensor:
    return inputs[:, :1] * vector.sum()


def of_suite(track: str = "labelled", *, budget: int = 10) -> Given:
    return Given(
        pretrained=torch.zeros(4),
        task_vectors=torch.ones(2, 4),
        space=SPACE,
        tasks=("hills", "lakes"),
        track=track,
        heads={"hills": Head(torch.ones(3, 1), torch.tensor([0.0, 1.0, 2.0]))},
        features=features,
        data=Data(),
        gradient_budget=budget,
    )


def test_weights_alone_make_a_given():
    given = Given.of_weights(torch.zeros(4), torch.ones(2, 4), SPACE)
    assert given.tasks == ("task_1", "task_2")
    assert given.task_vectors.dtype == torch.float32


def test_weights_that_take_part_in_a_graph_are_given_without_it():
    pretrained, vectors = torch.zeros(4, requires_grad=True), torch.ones(2, 4, requires_grad=True)
    given = Given.of_weights(pretrained, 2 * vectors, SPACE)
    assert not given.pretrained.requires_grad
    assert not given.task_vectors.requires_grad
    assert torch.equal(given.task_vectors, torch.full((2, 4), 2.0))


def test_the_seed_makes_the_generator():
    draws = [
        torch.rand(
            3, generator=Given.of_weights(torch.zeros(4), torch.ones(1, 4), SPACE, seed=s).generator
        )
        for s in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize(
    ("pretrained", "task_vectors", "words"),
    [
        (torch.zeros(3), torch.ones(2, 4), "pre-trained vector has the shape"),
        (torch.zeros(4), torch.ones(4), "task vectors have the shape"),
        (torch.zeros(4), torch.ones(2, 3), "task vectors have the shape"),
        (torch.zeros(4), torch.ones(0, 4), "at least one"),
        (
            torch.full((4,), torch.nan),
            torch.ones(2, 4),
            "'a' of the pre-trained vector .* not finite",
        ),
        (torch.zeros(4), torch.full((1, 4), torch.inf), "'a' of the task vector of 'task_1'"),
        (torch.zeros(4, dtype=torch.int64), torch.ones(2, 4), "floating-point"),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_a_sentence(pretrained, task_vectors, words):
    with pytest.raises(TaskmarkError, match=words):
        Given.of_weights(pretrained, task_vectors, SPACE)


def test_names_and_vectors_must_be_as_many():
    with pytest.raises(TaskmarkError, match="2 task vectors but 1 names"):
        Given.of_weights(torch.zeros(4), torch.ones(2, 4), SPACE, tasks=["hills"])


def test_models_make_a_given_and_the_merged_vector_a_model():
    pretrained = {"b": torch.tensor([1.0, 2.0]), "steps": torch.tensor(7), "a": torch.ones(1, 1)}
    experts = [
        {"a": torch.tensor([[3.0]]), "b": torch.tensor([1.0, 0.0]), "steps": torch.tensor(9)},
        {"a": torch.tensor([[1.0]]).bfloat16(), "b": torch.tensor([2.0, 2.0]).double()},
    ]
    given = Given.of_models(pretrained, experts, tasks=["hills", "lakes"])
    assert given.tasks == ("hills", "lakes")
    assert given.pretrained.tolist() == [1.0, 2.0, 1.0]
    assert given.task_vectors.tolist() == [[0.0, -2.0, 2.0], [1.0, 0.0, 0.0]]
    merged = given.space.unflatten(given.pretrained + given.task_vectors.sum(0))
    assert {name: tensor.tolist() for name, tensor in merged.items()} == {
        "b": [2.0, 0.0],
        "a": [[3.0]],
    }


def test_models_that_differ_in_form_are_refused():
    with pytest.raises(TaskmarkError, match=r"'task_1' does not fit .*missing: a; unexpected: b"):
        Given.of_models({"a": torch.ones(2)}, [{"b": torch.ones(2)}])
    with pytest.raises(TaskmarkError, match="at least one"):
        Given.of_models({"a": torch.ones(2)}, [])


def test_large_finite_weights_whose_sum_overflows_are_accepted():
    huge = torch.full((4,), 3e38)
    assert torch.equal(Given.of_weights(huge, huge[None], SPACE).pretrained, huge)


def test_an_infinity_of_each_sign_is_found():
    vectors = torch.tensor([[float("inf"), -float("inf"), 0.0, 0.0]])
    with pytest.raises(TaskmarkError, match="finite"):
        Given.of_weights(torch.zeros(4), vectors, SPACE)


def test_a_given_of_weights_has_no_data_and_no_model():
    given = Given.of_weights(torch.zeros(4), torch.ones(1, 4), SPACE)
    for ask in (
        lambda: given.images("task_1"),
        lambda: given.labels("task_1"),
        lambda: given.features(torch.zeros(4), torch.zeros(1, 3)),
    ):
        with pytest.raises(DataRefusedError, match="weights alone"):
            ask()


@pytest.mark.parametrize(
    ("track", "images", "labels"),
    [("weights", False, False), ("unlabelled", True, False), ("labelled", True, True)],
)
def test_a_track_decides_what_may_be_asked_for(track, images, labels):
    given = of_suite(track)
    for ask, allowed in ((given.images, images), (given.labels, labels)):
        if allowed:
            assert len(ask("hills", "train")) == 5
        else:
            with pytest.raises(DataRefusedError, match=f"track '{track}' does not allow"):
                ask("hills", "train")


@pytest.mark.parametrize("split", ["test", "Test", "", "train_labels"])
def test_no_track_may_ask_for_another_split(split):
    with pytest.raises(DataRefusedError, match="not for methods"):
        of_suite("labelled").images("hills", split)


@pytest.mark.parametrize("asked", ["features", "logits"])
def test_weights_alone_do_not_run_the_model_whatever_the_inputs(asked):
    inputs = torch.ones(2, 3)  # the method's own, not the suite's
    calls = {
        "features": lambda given: given.features(torch.zeros(4), inputs),
        "logits": lambda given: given.logits(torch.zeros(4), "hills", inputs),
    }
    with pytest.raises(DataRefusedError, match="declare track = 'unlabelled'"):
        calls[asked](of_suite("weights"))
    assert len(calls[asked](of_suite("unlabelled"))) == 2


def test_a_task_that_was_not_given_is_refused():
    with pytest.raises(DataRefusedError, match="'woods' was not given"):
        of_suite().images("woods")


def test_what_was_asked_for_is_written_down_and_what_was_refused_is_not():
    given = of_suite("unlabelled")
    given.images("hills")
    given.images("lakes", "train")
    with pytest.raises(DataRefusedError):
        given.labels("hills")
    assert given.touched == {"hills/validation/images": 5, "lakes/train/images": 5}


def test_gradient_images_are_counted_and_end_with_the_budget():
    given = of_suite(budget=10)
    vector, batch = torch.zeros(4, requires_grad=True), torch.zeros(4, 3)
    given.features(vector, batch)
    given.features(vector, batch)
    assert (given.gradient_images, given.gradient_images_left) == (8, 2)
    with pytest.raises(BudgetSpentError, match="grants 10 gradient images and 8 are spent"):
        given.features(vector, batch)
    assert given.gradient_images == 8
    given.features(vector, batch[:2])
    assert given.gradient_images_left == 0


def test_passes_without_gradients_are_counted_apart_and_not_limited():
    given = of_suite(budget=1)
    with torch.no_grad():
        given.features(torch.zeros(4, requires_grad=True), torch.zeros(5, 3))
    given.features(torch.zeros(4), torch.zeros(5, 3))
    assert (given.forward_images, given.gradient_images) == (10, 0)


def test_gradients_by_way_of_the_inputs_or_of_function_transforms_count_as_well():
    given = of_suite(budget=10)
    given.features(torch.zeros(4), torch.zeros(2, 3, requires_grad=True))
    assert given.gradient_images == 2
    torch.func.grad(lambda v: given.features(v, torch.zeros(3, 3)).sum())(torch.zeros(4))
    assert given.gradient_images == 5


def test_logits_are_the_suites_head_on_the_features():
    given = of_suite()
    logits = given.logits(torch.ones(4), "hills", torch.full((2, 3), 0.5))
    assert logits.tolist() == [[2.0, 3.0, 4.0]] * 2
