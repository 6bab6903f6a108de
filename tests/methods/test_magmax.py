"""MagMax: the farthest entry of each column, whatever the order."""

import torch
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st
from small_inputs import given_rows, rows

from taskmark.methods import chunks
from taskmark.methods.magmax import MagMax


def merged(tau):
    return MagMax().merge(given_rows(tau)).tolist()


def farthest(column):
    largest = max(abs(value) for value in column)
    signs = {value > 0 for value in column if abs(value) == largest}
    return 0.0 if largest == 0 or len(signs) == 2 else largest if True in signs else -largest


@settings(deadline=None, max_examples=200)
@given_that(tau=rows())
def test_it_is_the_entry_of_largest_magnitude(tau):
    assert merged(tau) == [farthest(column) for column in zip(*tau, strict=True)]


def test_the_sign_stays():
    assert merged([[1.0, 3.0, -1.0], [-2.0, 2.0, -5.0]]) == [-2.0, 3.0, -5.0]


def test_opposite_entries_of_one_size_take_each_other_out():
    assert merged([[2.0, 2.0], [-2.0, 2.0], [1.0, 1.0]]) == [0.0, 2.0]


@settings(deadline=None)
@given_that(tau=rows(max_tasks=1))
def test_one_task_is_that_expert(tau):
    assert merged(tau) == tau[0]


@settings(deadline=None)
@given_that(tau=rows(), order=st.randoms())
def test_order_repetition_sign_and_size_pass_through(tau, order):
    result = merged(tau)
    shuffled = tau * 2
    order.shuffle(shuffled)
    assert merged(shuffled) == result
    assert merged([[-4 * value for value in row] for row in tau]) == [-4 * v for v in result]


def test_chunks_do_not_show(monkeypatch):
    tau = torch.randn(3, 1_001, generator=torch.Generator().manual_seed(0)).tolist()
    whole = merged(tau)
    monkeypatch.setattr(chunks, "_BLOCK", 48)  # sixteen entries of three tasks
    assert merged(tau) == whole
