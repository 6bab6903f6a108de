"""What a method may return, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from taskmark import Edit, Head, Mask
from taskmark.errors import TaskmarkError

HEADS = {task: Head(torch.zeros(3, 2), torch.zeros(3)) for task in ("hills", "lakes")}


class Sly(Tensor):
    """A tensor that could run code of its own inside the evaluation."""


def _head(**changes: Tensor) -> Head:
    return Head(**{"weight": torch.ones(3, 2), "bias": torch.zeros(3), **changes})


def test_a_checked_edit_shares_no_memory_with_the_method():
    vector, own, head = torch.ones(4), torch.ones(4), _head()
    edit = Edit(vector, {"hills": head}, {"lakes": own}).checked(4, HEADS)
    for tensor in (vector, own, head.weight, head.bias):
        tensor.fill_(7)
    assert edit.vector.tolist() == [1] * 4
    assert edit.per_task["lakes"].tolist() == [1] * 4
    assert edit.heads["hills"].weight.eq(1).all()
    assert edit.heads["hills"].bias.eq(0).all()


def test_a_vector_that_carries_gradients_is_detached():
    assert not Edit(torch.ones(4, requires_grad=True) * 2).checked(4, HEADS).vector.requires_grad
    assert type(Edit(nn.Parameter(torch.ones(4))).checked(4, HEADS).vector) is Tensor


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        (torch.ones(5), r"has the shape \(5,\); return one flat vector \(4,\)"),
        (torch.ones(2, 2), "has the shape"),
        (torch.ones(4, dtype=torch.float64), "is torch.float64; return torch.float32"),
        (torch.ones(4, dtype=torch.bfloat16), "is torch.bfloat16"),
        (torch.ones(4, dtype=torch.int64), "is torch.int64"),
        (torch.tensor([1, 2, 3, torch.nan]), "NaN or infinite"),
        (torch.tensor([1, 2, 3, -torch.inf]), "NaN or infinite"),
        ([1.0] * 4, "is a list; return a torch tensor"),
        (None, "is a NoneType"),
        (torch.ones(4).as_subclass(Sly), "is a Sly; return a torch tensor"),
    ],
)
def test_a_vector_of_another_form_is_refused_in_a_sentence(vector, words):
    with pytest.raises(TaskmarkError, match=f"^The merged task vector .*{words}"):
        Edit(vector).checked(4, HEADS)
    with pytest.raises(TaskmarkError, match=f"^The vector for the task 'lakes' .*{words}"):
        Edit(torch.ones(4), per_task={"lakes": vector}).checked(4, HEADS)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (torch.ones(3, 2), "is a Tensor; return a taskmark.Head"),
        (_head(weight=torch.ones(3, 5)), r"of the shape \(3, 5\) .*; return \(3, 2\) and \(3,\)"),
        (_head(bias=torch.zeros(2)), r"a bias of the shape \(2,\); return"),
        (_head(bias=torch.full((3,), torch.nan)), "NaN or infinite"),
        (_head(weight=torch.full((3, 2), torch.inf)), "NaN or infinite"),
        (_head(weight=torch.ones(3, 2).as_subclass(Sly)), "torch tensors"),
        (_head(bias=None), "torch tensors"),
    ],
)
def test_a_head_of_another_form_is_refused_in_a_sentence(head, words):
    with pytest.raises(TaskmarkError, match=f"^The head of the task 'hills' .*{words}"):
        Edit(torch.ones(4), {"hills": head}).checked(4, HEADS)


def test_a_task_that_was_not_given_is_refused():
    for edit in (
        Edit(torch.ones(4), {"woods": _head()}),
        Edit(torch.ones(4), per_task={"woods": torch.ones(4)}),
        Edit(torch.ones(4), masks={"woods": Mask(torch.ones(4) > 0)}),
    ):
        with pytest.raises(TaskmarkError, match="'woods', which was not given"):
            edit.checked(4, HEADS)


def test_extra_parameters_are_those_of_heads_and_vectors_per_task():
    edit = Edit(torch.ones(4), {"hills": _head()}, {"lakes": torch.ones(4)})
    assert Edit(torch.ones(4)).extra_parameters == 0
    assert edit.extra_parameters == 9 + 4
    assert edit.extra_bytes == 4 * 13


def test_masks_cost_a_bit_an_entry_and_need_theta0_beside_the_vector():
    kept = torch.tensor([True, False, True] * 3)
    edit = Edit(torch.ones(9), masks={"hills": Mask(kept), "lakes": Mask(kept, 0.5)})
    assert edit.extra_parameters == 9 + 2
    assert edit.extra_bytes == 4 * 11 + 2 * 2  # nine bits fill two bytes


def test_own_heads_leave_one_model_and_own_weights_do_not():
    assert Edit(torch.ones(4), {"hills": _head()}).one_model
    assert not Edit(torch.ones(4), per_task={"lakes": torch.ones(4)}).one_model
    assert not Edit(torch.ones(4), masks={"lakes": Mask(torch.ones(4) > 0)}).one_model
    assert Edit(torch.ones(4)).tasks_with_own_weights == ()


def test_a_mask_reads_a_task_out_of_the_merged_vector():
    kept = torch.tensor([True, False, True])
    edit = Edit(torch.tensor([1.0, 2.0, 3.0]), masks={"lakes": Mask(kept, -0.5)}).checked(3, HEADS)
    kept.fill_(False)
    assert edit.for_task("lakes").tolist() == [-0.5, 0, -1.5]
    assert edit.for_task("hills").tolist() == [1, 2, 3]
    assert {task: vector.tolist() for task, vector in edit.own_vectors()} == {
        "lakes": [-0.5, 0, -1.5]
    }


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (torch.ones(4) > 0, "is a Tensor; return a taskmark.Mask"),
        (Mask(torch.ones(4)), r"is torch.float32 of the shape \(4,\); return a bool tensor \(4,\)"),
        (Mask(torch.ones(5) > 0), r"is torch.bool of the shape \(5,\); return"),
        (Mask([True] * 4), "is list; return"),
        (Mask((torch.ones(4) > 0).as_subclass(Sly)), "return a bool tensor"),
        (Mask(torch.ones(4) > 0, float("inf")), "is inf; return a finite number"),
        (Mask(torch.ones(4) > 0, torch.ones(1)), "return a finite number"),
    ],
)
def test_a_mask_of_another_form_is_refused_in_a_sentence(mask, words):
    with pytest.raises(TaskmarkError, match=f"mask of the task 'lakes' .*{words}"):
        Edit(torch.ones(4), masks={"lakes": mask}).checked(4, HEADS)


def test_a_task_with_a_vector_and_a_mask_is_refused():
    edit = Edit(
        torch.ones(4),
        per_task={"lakes": torch.ones(4)},
        masks={"lakes": Mask(torch.ones(4) > 0)},
    )
    with pytest.raises(TaskmarkError, match="'lakes' has both"):
        edit.checked(4, HEADS)


def test_where_the_model_is_linearised_is_a_vector_like_the_merged_one():
    edit = Edit(torch.ones(4), linearised_at=torch.arange(4.0))
    kept = edit.checked(4, HEADS).linearised_at
    assert kept.tolist() == [0, 1, 2, 3]
    assert kept.data_ptr() != edit.linearised_at.data_ptr()
    assert edit.one_model
    for wrong in (torch.ones(3), torch.ones(4).double(), torch.full((4,), torch.nan), [0.0] * 4):
        with pytest.raises(TaskmarkError, match="vector that the model is linearised at"):
            Edit(torch.ones(4), linearised_at=wrong).checked(4, HEADS)


def test_a_task_is_served_by_its_own_vector_or_else_the_merged_one():
    edit = Edit(torch.ones(4), per_task={"lakes": torch.zeros(4)})
    assert edit.for_task("lakes").sum() == 0
    assert edit.for_task("hills").sum() == 4
