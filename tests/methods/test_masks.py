"""Consensus, TALL masks and EMR against their formulas, by hand, and what they reduce to."""

import naive_masks
import pytest
import torch
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import ValidationError
from small_inputs import given_rows, rows

from taskmark.methods import chunks
from taskmark.methods.emr import Emr
from taskmark.methods.tall_masks import Consensus, TallMasks
from taskmark.methods.task_arithmetic import TaskArithmetic

STRICTNESS = st.sampled_from([0.25, 0.5, 1.0, 2.0])  # on eighths, products with these are exact


def served(edit, n_tasks):
    return [edit.for_task(f"task_{i + 1}").tolist() for i in range(n_tasks)]


@settings(deadline=None, max_examples=200)
@given_that(tau=rows(), strictness=STRICTNESS, n_agreeing=st.integers(1, 4))
def test_consensus_is_the_formula(tau, strictness, n_agreeing):
    method = Consensus(strictness=strictness, n_agreeing=n_agreeing)
    expected = naive_masks.consensus(tau, strictness, n_agreeing)
    assert method.merge(given_rows(tau)).tolist() == expected


@settings(deadline=None, max_examples=200)
@given_that(tau=rows(), strictness=STRICTNESS)
def test_tall_masks_cut_the_sum_down_to_what_each_task_needs(tau, strictness):
    edit = TallMasks(strictness=strictness).edit(given_rows(tau))
    total = [sum(column) for column in zip(*tau, strict=True)]
    expected = [
        [value if kept else 0.0 for value, kept in zip(total, mask, strict=True)]
        for mask in naive_masks.tall_masks(tau, strictness)
    ]
    assert served(edit, len(tau)) == expected
    assert edit.vector.tolist() == total


@settings(deadline=None, max_examples=200)
@given_that(tau=rows())
def test_emr_is_the_formula(tau):
    edit = Emr().edit(given_rows(tau))
    unified, expected = naive_masks.emr(tau)
    assert edit.vector.tolist() == unified
    for found, wanted in zip(served(edit, len(tau)), expected, strict=True):
        assert found == pytest.approx(wanted, rel=1e-6)


def test_selfish_and_catastrophic_entries_go():
    # |tau_t| >= 0.4 |sum - tau_t|. In the first place both need it: 2 >= 0.4 and 1 >= 0.8. In the
    # second only the first does: 3 >= 0, 0 < 1.2. In the third, nobody: 4 - 4 + 0.5.
    tau = [[2.0, 3.0, 0.1], [1.0, 0.0, 0.1], [0.0, 0.0, 0.1]]
    assert Consensus().merge(given_rows(tau[:2])).tolist() == pytest.approx([3.0, 0.0, 0.2])
    # With 1 beside nine others of 1, 1 < 0.4 * 9: all are outweighed.
    assert Consensus().merge(given_rows([[1.0]] * 10)).tolist() == [0.0]
    # The third of three: 0.1 >= 0.4 * 0.2, each of them.
    assert Consensus().merge(given_rows(tau)).tolist() == pytest.approx([3.0, 0.0, 0.3])


def test_emr_by_hand():
    # Signs of the sums 3, -2, 0: + - 0. The largest that agree: 4, -3, and nothing.
    edit = Emr().edit(given_rows([[4.0, 1.0, 2.0], [-1.0, -3.0, -2.0]]))
    assert edit.vector.tolist() == [4.0, -3.0, 0.0]
    assert edit.masks["task_1"].kept.tolist() == [True, False, False]
    assert edit.masks["task_1"].factor == 7 / 4
    assert edit.masks["task_2"].kept.tolist() == [False, True, False]
    assert edit.masks["task_2"].factor == 2.0


def test_a_task_that_agrees_with_nothing_elected_is_left_with_the_pretrained_model():
    edit = Emr().edit(given_rows([[4.0], [-1.0]]))
    assert edit.masks["task_2"].factor == 1.0
    assert edit.for_task("task_2").tolist() == [0.0]


@settings(deadline=None)
@given_that(tau=rows(max_tasks=1))
def test_one_task_is_served_by_its_expert(tau):
    for method in (Emr(), TallMasks()):
        assert served(method.edit(given_rows(tau)), 1) == tau
    assert Consensus(n_agreeing=1).merge(given_rows(tau)).tolist() == tau[0]
    assert not Consensus().merge(given_rows(tau)).any()


@settings(deadline=None)
@given_that(tau=rows())
def test_with_no_strictness_and_one_vote_consensus_is_task_arithmetic(tau):
    found = Consensus(strictness=0, n_agreeing=1).merge(given_rows(tau))
    assert torch.equal(found, TaskArithmetic().merge(given_rows(tau)))


@settings(deadline=None)
@given_that(tau=rows(), order=st.randoms())
def test_order_sign_and_size_of_all_vectors_pass_through(tau, order):
    shuffled = list(range(len(tau)))
    order.shuffle(shuffled)
    moved = [[-4 * value for value in tau[i]] for i in shuffled]
    merged = Consensus(strictness=0.5).merge(given_rows(tau)).tolist()
    assert Consensus(strictness=0.5).merge(given_rows(moved)).tolist() == [-4 * v for v in merged]
    for method in (TallMasks(strictness=0.5), Emr()):
        before = served(method.edit(given_rows(tau)), len(tau))
        after = served(method.edit(given_rows(moved)), len(tau))
        for place, task in enumerate(shuffled):
            assert after[place] == pytest.approx([-4 * value for value in before[task]], rel=1e-6)


@settings(deadline=None)
@given_that(tau=rows())
def test_emr_keeps_the_size_and_the_signs_of_each_task(tau):
    edit = Emr().edit(given_rows(tau))
    for row, vector in zip(tau, served(edit, len(tau)), strict=True):
        assert all(a * b >= 0 for a, b in zip(row, vector, strict=True))
        if any(vector):
            assert sum(map(abs, vector)) == pytest.approx(sum(map(abs, row)), rel=1e-5)


def test_masks_are_stored_at_a_bit_an_entry():
    edit = Emr().edit(given_rows([[1.0] * 10, [2.0] * 10, [3.0] * 10]))
    assert edit.extra_parameters == 10 + 3  # theta0 beside tau_uni, and three factors
    assert edit.extra_bytes == 4 * 13 + 3 * 2
    assert not edit.one_model


def test_chunks_do_not_show(monkeypatch):
    given = given_rows(torch.randn(3, 1_000, generator=torch.Generator().manual_seed(0)).tolist())
    whole = [Consensus().merge(given).tolist()]
    whole += [served(method.edit(given), 3) for method in (TallMasks(), Emr())]
    monkeypatch.setattr(chunks, "_BLOCK", 21)  # four entries of three tasks
    assert Consensus().merge(given).tolist() == whole[0]
    assert served(TallMasks().edit(given), 3) == whole[1]
    for found, wanted in zip(served(Emr().edit(given), 3), whole[2], strict=True):
        assert found == pytest.approx(wanted, rel=1e-6)  # sums in another order


def test_the_defaults_are_stated():
    assert Consensus().hyperparameters() == {"strictness": 0.4, "n_agreeing": 2}
    assert Consensus.scale_range == (0.0, 1.0)
    assert TallMasks().hyperparameters() == {"strictness": 0.4}
    assert Emr().hyperparameters() == {}
    assert TallMasks.scale_range is Emr.scale_range is None


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        (Consensus, {"strictness": -0.1}),
        (Consensus, {"strictness": float("nan")}),
        (Consensus, {"n_agreeing": 0}),
        (TallMasks, {"strictness": float("inf")}),
        (Emr, {"density": 0.2}),
    ],
)
def test_fields_outside_their_range_are_refused(method, fields):
    with pytest.raises(ValidationError):
        method(**fields)
