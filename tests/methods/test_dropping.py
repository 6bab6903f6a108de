"""Random dropping: whose bits they are, which entries they drop, and what the rest becomes."""

import math

import numpy as np
import pytest
import torch

from taskmark.methods.dare import draw_seed, draws, drop, survivors, task_streams

RATES = [0.0, 0.1, 0.5, 0.9, 0.99, 0.99999]


def normal(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def test_a_stream_belongs_to_a_seed_and_a_name():
    def words(seed, name):
        return task_streams(seed, [name])[0].random_raw(4).tolist()

    assert words(1, "land") == words(1, "land")
    assert words(1, "land") != words(1, "signs")
    assert words(1, "land") != words(2, "land")
    (first, second) = task_streams(1, ["signs", "land"])
    assert first.random_raw(4).tolist() == words(1, "signs")
    assert second.random_raw(4).tolist() == words(1, "land")


def test_the_bits_are_the_same_in_every_version_of_numpy():
    assert draws(task_streams(7, ["land"])[0], 6).tolist() == [
        12844,
        -13616,
        -2475,
        -31514,
        -32010,
        -10781,
    ]


def test_the_seed_comes_from_the_generator():
    one, same, other = (torch.Generator().manual_seed(seed) for seed in (5, 5, 6))
    assert draw_seed(one) == draw_seed(same) != draw_seed(other)
    assert draw_seed(one) != draw_seed(torch.Generator().manual_seed(5))  # it moves on


@pytest.mark.parametrize("rate", RATES)
def test_an_entry_is_kept_where_its_draw_reaches_p(rate):
    vectors = normal(2, 1_001)
    found = drop(vectors, task_streams(4, ["a", "b"]), rate)
    first_kept = math.floor(rate * 65_536)
    for row, kept, stream in zip(vectors, found, task_streams(4, ["a", "b"]), strict=True):
        expected = [
            value / (1 - first_kept / 65_536) if draw + 32_768 >= first_kept else 0.0
            for value, draw in zip(row.tolist(), draws(stream, 1_001).tolist(), strict=True)
        ]
        assert kept.tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_share_that_is_dropped_is_p(rate):
    size = 2**20
    (found,) = drop(torch.ones(1, size), task_streams(11, ["a"]), rate)
    deviation = math.sqrt(rate * (1 - rate) / size)
    assert float((found == 0).double().mean()) == pytest.approx(rate, abs=4 * deviation)
    assert float(found.double().mean()) == pytest.approx(1, abs=4 * deviation / (1 - rate))


def test_tasks_and_neighbours_are_dropped_independently():
    size = 2**20
    kept = drop(torch.ones(2, size), task_streams(11, ["a", "b"]), 0.5) / 2
    for one, other in [(kept[0], kept[1]), (kept[0, 1:], kept[0, :-1])]:
        both = float((one * other).double().mean())
        assert both == pytest.approx(0.25, abs=4 * math.sqrt(3 / 16 / size))


def test_pieces_in_fours_are_dropped_as_the_whole():
    vectors = normal(1, 1_002)
    whole = drop(vectors, task_streams(4, ["a"]), 0.3)
    streams = task_streams(4, ["a"])
    pieces = [drop(piece, streams, 0.3) for piece in vectors.split(100, dim=1)]
    assert torch.equal(torch.cat(pieces, 1), whole)


def test_nothing_is_dropped_at_zero_and_the_input_is_left_alone():
    vectors = normal(3, 50)[:, ::2]
    before = vectors.clone()
    assert torch.equal(drop(vectors, task_streams(0, ["a", "b", "c"]), 0.0), vectors)
    drop(vectors, task_streams(0, ["a", "b", "c"]), 0.9)
    assert torch.equal(vectors, before)


def test_what_survives_is_what_is_not_dropped():
    mask = survivors(task_streams(4, ["a", "b"]), 0.7, out=torch.full((2, 1_001), torch.nan))
    kept = drop(torch.ones(2, 1_001), task_streams(4, ["a", "b"]), 0.7)
    assert torch.equal(mask, (kept > 0).float())


def test_the_result_is_written_to_the_room_that_is_given():
    vectors, room = normal(2, 50), torch.empty(2, 50)
    found = drop(vectors, task_streams(4, ["a", "b"]), 0.3, out=room)
    assert found.data_ptr() == room.data_ptr()
    assert torch.equal(room, drop(vectors, task_streams(4, ["a", "b"]), 0.3))


def test_there_are_as_many_draws_as_asked_for():
    (stream,) = task_streams(0, ["a"])
    assert [len(draws(stream, count)) for count in (0, 1, 3, 4, 5)] == [0, 1, 3, 4, 5]
    assert draws(stream, 5).dtype == np.int16
