"""NTK localisation: the scalar by hand, its error, its null, and the record of a run."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_provider
import torch
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from tiny_setting import setting_of

from taskmark.config import RunConfig
from taskmark.engine.run import run
from taskmark.errors import TaskmarkError
from taskmark.plugins.method_choice import MethodChoice
from taskmark.records.localisation_record import LocalisationRecord
from taskmark.stages.item_sample import sample_items
from taskmark.stages.localisation import (
    jackknife_error,
    localisation,
    of_halves,
    shuffled,
    spectrum,
    without_each,
)
from taskmark.stages.localisation_kernel import Tangents, directions
from taskmark.suite.suite_file import read

SECTION = "\n[protocol.localisation]\nn_images = {}\nn_directions = {}\n"


def _first(n):
    return torch.arange(2 * n) < n


def _kernel(n, rank, seed):
    source = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, rank, generator=source, dtype=torch.float64)
    return rows @ rows.T


def _of(kernel, first):
    return float(localisation(spectrum(kernel), first))


# The scalar.


def test_the_value_of_two_images_by_hand():
    # Eigenvectors (2, 1) / sqrt 5 and (1, -2) / sqrt 5, eigenvalues 6 and 1: energies 4/5 and 1/5.
    kernel = torch.tensor([[5.0, 2.0], [2.0, 2.0]])
    found = spectrum(kernel)
    torch.testing.assert_close(found.shares, torch.tensor([6 / 7, 1 / 7], dtype=torch.float64))
    expected = torch.tensor([[0.8, 0.2], [0.2, 0.8]], dtype=torch.float64)
    torch.testing.assert_close(found.energies, expected)
    assert _of(kernel, _first(1)) == pytest.approx(0.6)


def test_the_value_is_what_a_naive_sum_gives():
    kernel, first = _kernel(10, 10, 4), _first(5)
    values, vectors = np.linalg.eigh(kernel.numpy())
    expected = 0.0
    for k, value in enumerate(values):
        energy = sum(vectors[i, k] ** 2 for i in range(10) if first[i])
        other = sum(vectors[i, k] ** 2 for i in range(10) if not first[i])
        expected += value / values.sum() * abs(energy - other)
    assert _of(kernel, first) == pytest.approx(expected)


def test_tasks_whose_gradients_are_orthogonal_are_fully_localised():
    kernel = torch.block_diag(_kernel(6, 6, 1), _kernel(6, 6, 2))
    assert _of(kernel, _first(6)) == pytest.approx(1)
    assert _of(kernel, torch.arange(12) % 2 == 0) < 0.9


def test_a_kernel_that_is_the_same_everywhere_is_not_localised():
    assert _of(torch.ones(8, 8), _first(4)) == pytest.approx(0, abs=1e-12)


def test_a_kernel_of_zeros_has_a_value_of_zero():
    assert _of(torch.zeros(6, 6), _first(3)) == 0


def test_images_of_one_distribution_are_about_as_localised_as_chance():
    source = torch.Generator().manual_seed(5)
    inside = 0
    for seed in range(40):
        kernel, first = _kernel(40, 30, seed), _first(20)
        null = localisation(spectrum(kernel), shuffled(first, 200, source)).numpy()
        low, high = np.quantile(null, (0.025, 0.975))
        inside += low <= _of(kernel, first) <= high
        assert 0 < null.mean() < 0.3
    assert inside >= 33  # of 40 at 95 %, fewer have a probability of less than one in a thousand


KERNELS = st.tuples(st.integers(2, 6), st.integers(1, 12), st.integers(0, 999))


@settings(max_examples=50, deadline=None)
@for_all(KERNELS)
def test_a_value_lies_between_0_and_1_and_knows_no_order_nor_unit_nor_which_is_first(shape):
    n, rank, seed = shape
    kernel, first = _kernel(2 * n, max(rank, 2 * n), seed), _first(n)
    value = _of(kernel, first)
    assert 0 <= value <= 1 + 1e-12
    order = torch.randperm(2 * n, generator=torch.Generator().manual_seed(seed))
    assert _of(kernel[order][:, order], first[order]) == pytest.approx(value)
    assert _of(1e-6 * kernel, first) == pytest.approx(value)
    assert _of(kernel, ~first) == pytest.approx(value)


@settings(max_examples=50, deadline=None)
@for_all(KERNELS)
def test_shares_fall_and_sum_to_1_and_so_does_every_energy(shape):
    n, rank, seed = shape
    found = spectrum(_kernel(2 * n, rank, seed))
    assert float(found.shares.sum()) == pytest.approx(1)
    assert (found.shares.diff() <= 0).all()
    assert (found.shares >= 0).all()
    torch.testing.assert_close(found.energies.sum(1), torch.ones(2 * n, dtype=torch.float64))


def test_a_shuffle_keeps_how_many_images_each_task_has():
    first = torch.tensor([True] * 3 + [False] * 5)
    found = shuffled(first, 50, torch.Generator().manual_seed(0))
    assert found.shape == (50, 8)
    assert (found.sum(1) == 3).all()
    assert len({tuple(row) for row in found.tolist()}) > 20


def test_several_ways_to_tell_give_a_value_each():
    found = spectrum(_kernel(8, 8, 3))
    ways = shuffled(_first(4), 5, torch.Generator().manual_seed(1))
    values = localisation(found, ways)
    assert values.tolist() == pytest.approx([float(localisation(found, way)) for way in ways])


# The error.


def test_the_error_of_a_mean_is_the_textbook_one():
    drawn = torch.tensor([1.0, 2.0, 4.0, 5.0], dtype=torch.float64)
    left = (drawn.sum() - drawn) / 3
    expected = (float(drawn.var()) / 4 * (1 - 4 / 10)) ** 0.5
    assert jackknife_error(left, 10) == pytest.approx(expected)


def test_nothing_left_undrawn_leaves_no_error():
    assert jackknife_error(torch.tensor([1.0, 3.0]), 2) == 0
    assert jackknife_error(torch.zeros(0), 1) == 0


def test_without_each_leaves_one_kernel_out():
    kernels, first = torch.stack([_kernel(6, 6, seed) for seed in range(3)]), _first(3)
    expected = [
        _of((kernels[1] + kernels[2]) / 2, first),
        _of((kernels[0] + kernels[2]) / 2, first),
        _of((kernels[0] + kernels[1]) / 2, first),
    ]
    assert without_each(kernels, first).tolist() == pytest.approx(expected)
    assert len(without_each(kernels[:1], first)) == 0


def test_the_error_is_about_the_spread_over_draws_of_directions(encoder):
    setting = setting_of(encoder, dtype=torch.float64)
    tangents = Tangents(encoder, setting.space, setting.pretrained)
    joint = _joint("hills", "lakes", 12).double()
    first = _first(12)
    values, errors = [], []
    for seed in range(60):
        along = directions(4, 8, torch.Generator().manual_seed(seed))
        kernels = tangents.kernels(joint, along)
        values.append(_of(kernels.mean(0), first))
        errors.append(jackknife_error(without_each(kernels, first), 8))
    assert 0.5 < np.mean(errors) / np.std(values) < 2


def test_the_spread_over_halves_is_about_that_over_draws_of_images():
    source = torch.Generator().manual_seed(6)
    mixing = torch.randn(2, 12, 12, generator=source, dtype=torch.float64)
    values, errors = [], []
    for _ in range(80):
        rows = torch.randn(2, 60, 12, generator=source, dtype=torch.float64) @ mixing
        kernel = rows.flatten(0, 1) @ rows.flatten(0, 1).T
        values.append(_of(kernel, _first(60)))
        errors.append(float(of_halves(kernel, 30, source).std()))
    assert 0.5 < np.mean(errors) / np.std(values) < 2


def test_halves_keep_as_many_images_of_each_task_and_those_alone():
    # One image of either task fills the kernel; a half of the places has both images or neither.
    kernel = torch.zeros(8, 8, dtype=torch.float64)
    kernel[0, 0] = kernel[4, 4] = 1
    kernel[0, 4] = kernel[4, 0] = 0.5
    values = of_halves(kernel, 50, torch.Generator().manual_seed(0))
    # With places 0 and 4 left out nothing is left; with both in, (1, 1) and (1, -1) are shared.
    assert values.abs().max() < 1e-9
    kernel[0, 4] = kernel[4, 0] = 0
    kernel[4, 4] = 0.5
    found = of_halves(kernel, 50, torch.Generator().manual_seed(0))
    assert set(found.round(decimals=9).tolist()) == {0.0, 1.0}


# Runs.


def _joint(one, two, n, pick="first"):
    images = []
    for task in (one, two):
        split = torch.from_numpy(tiny_provider.task(task).validation.images)
        images.append(split[sample_items(len(split), n, pick, task=task)].permute(0, 3, 1, 2))
    return tiny_provider.Stem()(torch.cat(images))


@pytest.fixture(scope="module")
def localise(tiny_suite, tiny_store, tmp_path_factory):
    """Run the tiny suite with a section on localisation."""

    def start(section="", *, backbones=(), tasks=(), seeds=(0,), out=None):
        path = tmp_path_factory.mktemp("suite") / "tiny.toml"
        path.write_text(tiny_suite.read_text("utf-8") + section, "utf-8")
        config = RunConfig(
            suite=str(path),
            out=out or tmp_path_factory.mktemp("out"),
            backbones=backbones,
            methods=(MethodChoice("task_arithmetic"),),
            recipes=("standard",),
            seeds=seeds,
            localisation=True,
            tasks=tasks,
            device="cpu",
            workers=0,
            store=tiny_store,
        )
        return run(config).of("localisation")

    return start


def test_a_record_holds_what_the_definition_gives(localise):
    (record,) = localise(SECTION.format(25, 8))
    assert (record.n_directions, record.n_features, record.split) == (8, 8, "validation")
    assert [(p.task_1, p.task_2) for p in record.pairs] == [("hills", "lakes"), ("hills", "woods")]
    encoder = tiny_provider.backbone("plain")[1].double()
    setting = setting_of(encoder, dtype=torch.float64)
    for pair in record.pairs:
        assert pair.n_images == 25
        tangents = Tangents(encoder, setting.space, setting.pretrained)
        joint = _joint(pair.task_1, pair.task_2, 25).double()
        found = spectrum(tangents.kernels(joint, torch.eye(8)).mean(0))
        own = pair.localisation
        assert own.value == pytest.approx(float(localisation(found, _first(25))), rel=1e-3)
        assert own.direction_error == 0  # all 8 features: exact
        assert 0 < own.image_error < 0.2
        assert 0 < own.null_low < own.null_mean < own.null_high < own.value
        shares = [eigenfunction.share for eigenfunction in pair.leading]
        assert shares == pytest.approx(found.shares[:20].tolist(), rel=1e-3, abs=1e-6)
        energy = found.energies[:5, :25].sum(1).tolist()
        assert [e.energy for e in pair.leading[:5]] == pytest.approx(energy, abs=1e-3)
    values = [pair.localisation.value for pair in record.pairs]
    assert record.localisation.value == pytest.approx(np.mean(values))
    errors = [pair.localisation.image_error for pair in record.pairs]
    assert 0 < record.localisation.image_error <= np.mean(errors)
    assert record.cost.gradient_images == 2 * 50 * 8
    assert record.cost.seconds > 0
    assert record.provenance.dtype == "float32"


def test_a_suite_may_have_the_images_drawn(localise):
    (record,) = localise(SECTION.format(25, 8) + 'images = "drawn"\n')
    encoder = tiny_provider.backbone("plain")[1].double()
    setting = setting_of(encoder, dtype=torch.float64)
    tangents = Tangents(encoder, setting.space, setting.pretrained)
    for pair in record.pairs:
        joint = _joint(pair.task_1, pair.task_2, 25, "drawn").double()
        found = spectrum(tangents.kernels(joint, torch.eye(8)).mean(0))
        expected = float(localisation(found, _first(25)))
        assert pair.localisation.value == pytest.approx(expected, rel=1e-3)


def test_fewer_directions_have_an_error_and_the_exact_value_within_a_few_of_it(localise):
    (exact,) = localise(SECTION.format(25, 8))
    (record,) = localise(SECTION.format(25, 4))
    assert record.n_directions == 4
    for found, true in zip(
        (record.localisation, *(p.localisation for p in record.pairs)),
        (exact.localisation, *(p.localisation for p in exact.pairs)),
        strict=True,
    ):
        assert found.direction_error > 0
        assert abs(found.value - true.value) < 5 * found.direction_error


def test_a_suite_without_the_section_takes_the_defaults_and_what_images_there_are(localise):
    (record,) = localise()
    assert {pair.n_images for pair in record.pairs} == {60}  # validation has no 100
    assert record.n_directions == 8


def test_a_backbone_is_measured_once_whatever_the_seeds_and_written_down(localise, tmp_path):
    records = localise(backbones=("plain", "worded"), seeds=(0, 1), out=tmp_path)
    assert [record.backbone for record in records] == ["plain", "worded"]
    assert records[0].localisation != records[1].localisation
    files = {path.stem: path for path in (tmp_path / "localisation").glob("*.json")}
    assert files.keys() == {record.record_id[:16] for record in records}
    for record in records:
        text = files[record.record_id[:16]].read_bytes()
        assert LocalisationRecord.model_validate_json(text) == record
        assert record.with_record_id().record_id == record.record_id


def test_a_single_task_has_nothing_to_be_told_from(localise):
    with pytest.raises(TaskmarkError, match="no pair of tasks"):
        localise(tasks=("hills",))


def test_a_run_that_does_not_ask_localises_nothing(tiny_run):
    assert tiny_run().of("localisation") == ()


@pytest.mark.parametrize(("n_images", "n_directions"), [(0, 4), (10, 1), (10, 0)])
def test_sizes_that_cannot_be_are_refused(tiny_suite, tmp_path, n_images, n_directions):
    path = tmp_path / "tiny.toml"
    section = SECTION.format(n_images, n_directions)
    path.write_text(tiny_suite.read_text("utf-8") + section, "utf-8")
    with pytest.raises(TaskmarkError, match=r"protocol\.localisation\.n_"):
        read(path)


def test_the_command_line_prints_a_line_of_it_and_so_does_a_report(
    tiny_suite, tiny_store, tmp_path, printed
):
    out = tmp_path / "out"
    run_words = f"run --suite {tiny_suite} --store {tiny_store} --workers 0 --device cpu"
    rows = "--localisation --method task_arithmetic --recipe standard"
    for words in (f"{run_words} {rows} --out {out}", f"report --out {out}"):
        assert "NTK localisation, plain, 2 pairs: 0." in printed(words)
