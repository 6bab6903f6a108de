"""The weight-disentanglement error, by hand and by brute force."""

from __future__ import annotations

import pytest
import tiny_provider
import torch
from tiny_setting import experts_of, request_of, store_at
from torch.func import functional_call

from taskmark.records.disentanglement_record import DisentanglementRecord
from taskmark.records.packing import unpack_counts
from taskmark.stages.disentanglement import Disentanglement, disagreements, unit_square
from taskmark.stages.item_sample import sample_items
from taskmark.suite.suite_file import read

ALPHAS = (0.0, 1.0)


def test_disagreements_on_a_grid_worked_out_by_hand():
    # Two images; the first changes its class only at (1, 1), the second wherever alpha_2 is 1.
    classes = torch.tensor([[[0, 0], [0, 1]], [[2, 0], [3, 1]]])
    own_first = disagreements(classes, ALPHAS, axis=0)
    own_second = disagreements(classes, ALPHAS, axis=1)
    assert own_first.int().tolist() == [[[0, 0], [0, 1]], [[0, 0], [1, 1]]]
    assert own_second.int().tolist() == [[[0, 0], [0, 0]], [[1, 0], [1, 0]]]


def test_a_task_never_disagrees_where_the_other_vector_is_left_out():
    classes = torch.randint(0, 5, (4, 4, 30), generator=torch.Generator().manual_seed(0))
    alphas = (-1.0, 0.0, 0.5, 2.0)
    assert not disagreements(classes, alphas, axis=0)[:, 1].any()
    assert not disagreements(classes, alphas, axis=1)[1, :].any()
    assert disagreements(classes, alphas, axis=0)[1, 2:].any()


def test_the_unit_square_holds_both_ends():
    assert unit_square((-0.5, 0.0, 0.5, 1.0, 1.5)).tolist() == [1, 2, 3]


def _brute_force(alphas, pairs, vectors, head_of, test_of):
    """Each point of the grid with a model of its own, from the definition."""
    encoder = tiny_provider.backbone("plain")[1]

    def classes(task, vector):
        state, start = {}, 0
        for name, parameter in encoder.named_parameters():
            change = vector[start : start + parameter.numel()].view(parameter.shape)
            state[name] = parameter.detach() + change
            start += parameter.numel()
        with torch.no_grad():
            return head_of(task).predict(functional_call(encoder, state, (test_of(task),)))

    grids = []
    for pair in pairs:
        one, two = pair.task_1, pair.task_2
        tau = vectors[one], vectors[two]
        grid = [
            [
                float(
                    (classes(one, a * tau[0] + b * tau[1]) != classes(one, a * tau[0]))
                    .double()
                    .mean()
                    + (classes(two, a * tau[0] + b * tau[1]) != classes(two, b * tau[1]))
                    .double()
                    .mean()
                )
                for b in alphas
            ]
            for a in alphas
        ]
        grids.append(grid)
    return grids


def test_a_record_holds_what_the_definition_gives_point_by_point(
    tiny_run, tiny_suite, tiny_store, tmp_path
):
    (record,) = tiny_run(out=tmp_path / "out").of("disentanglement")
    suite = read(tiny_suite)
    store = store_at(tiny_store)
    experts = experts_of(request_of(tiny_suite, "task_arithmetic"))
    vectors = store.get(experts.vectors)
    rows = dict(zip(vectors.facts["tasks"], vectors.tensors["task_vectors"], strict=True))
    n = suite.protocol.disentanglement.n_images

    def test_of(task):
        images = torch.from_numpy(tiny_provider.task(task).test.images[:n]).permute(0, 3, 1, 2)
        return tiny_provider.Stem()(images)

    def head_of(task):
        return experts.heads[task].read(store)

    expected = _brute_force(record.alphas, record.pairs, rows, head_of, test_of)
    for pair, grid in zip(record.pairs, expected, strict=True):
        for found, wanted in zip(pair.xi, grid, strict=True):
            assert found == pytest.approx(wanted, abs=1e-12)
    inside = [
        grid[i][j] for grid in expected for i in range(4) for j in range(4) if i >= 1 and j >= 1
    ]
    assert record.unit_square == pytest.approx(sum(inside) / len(inside))
    for pair, grid in zip(record.pairs, expected, strict=True):
        counts = [unpack_counts(images) for images in (pair.images_1, pair.images_2)]
        assert [len(of_task) for of_task in counts] == [n, n]
        square = [grid[i][j] for i in range(1, 4) for j in range(1, 4)]
        assert sum(of_task.mean() for of_task in counts) == pytest.approx(sum(square))
    assert 0 <= record.low <= record.unit_square <= record.high <= 2
    flat = [value for pair in record.pairs for line in pair.xi for value in line]
    assert 0 <= min(flat) < max(flat) <= 2
    zero = record.alphas.index(0.0)
    assert all(pair.xi[zero][zero] == 0 for pair in record.pairs)


def test_a_suite_may_have_the_images_drawn(tiny_run, tiny_suite, tiny_store, tmp_path):
    (first,) = tiny_run().of("disentanglement")
    drawn = tmp_path / "drawn.toml"
    text = tiny_suite.read_text("utf-8")
    section = "[protocol.disentanglement]\n"
    drawn.write_text(text.replace(section, f'{section}images = "drawn"\n'), "utf-8")
    suite = read(drawn)
    grid = suite.protocol.disentanglement
    store = store_at(tiny_store)
    experts = experts_of(request_of(drawn, "task_arithmetic"))
    for task, items in experts.test(store, n_items=grid.n_images, pick=grid.images).items():
        whole = experts.test(store)[task]
        rows = sample_items(len(whole), grid.n_images, "drawn", task=task)
        assert torch.equal(items.inputs, whole.inputs[rows])
        assert torch.equal(items.targets, whole.targets[rows])
    text = Disentanglement(experts, grid).make(store)
    record = DisentanglementRecord.model_validate_json(text)
    assert [len(unpack_counts(pair.images_1)) for pair in record.pairs] == [
        len(unpack_counts(pair.images_1)) for pair in first.pairs
    ]
    assert [pair.xi for pair in record.pairs] != [pair.xi for pair in first.pairs]
