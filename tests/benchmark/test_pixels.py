"""Cached pixels to normalised floats."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from taskmark.errors import TaskmarkError
from taskmark.pixels import Normalisation, normalise, normalised_batches

IMAGENET = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def _images(n: int = 5, channels: int = 3, side: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, channels, side, side), dtype=np.uint8)


def _naive(images: np.ndarray, normalisation: Normalisation) -> np.ndarray:
    wanted = np.empty(images.shape)
    for channel, (mean, std) in enumerate(zip(normalisation.mean, normalisation.std, strict=True)):
        wanted[:, channel] = (images[:, channel].astype(np.float64) / 255 - mean) / std
    return wanted


def test_a_case_worked_out_by_hand():
    images = np.array([0, 51, 255], dtype=np.uint8).reshape(1, 3, 1, 1)
    out = np.empty((1, 3, 1, 1), dtype=np.float32)
    normalise(images, Normalisation(mean=(0.5, 0.2, 0.25), std=(0.25, 0.5, 0.5)), out)
    assert out.ravel() == pytest.approx([-2.0, 0.0, 1.5], abs=1e-7)


@settings(deadline=None, max_examples=50)
@for_all(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 2)), min_size=1, max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_it_is_the_formula_to_the_rounding_of_float32(channels, seed):
    normalisation = Normalisation(
        mean=tuple(mean for mean, _ in channels), std=tuple(std for _, std in channels)
    )
    shape = (2, len(channels), 3, 5)
    images = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    out = np.full(shape, np.nan, dtype=np.float32)
    normalise(images, normalisation, out)
    largest = max(1 / std for std in normalisation.std)  # of the two terms that are added
    error = np.abs(out - _naive(images, normalisation)).max()
    assert error <= 3 * np.finfo(np.float32).eps * largest


def test_every_pixel_value_of_the_usual_statistics_is_right():
    images = np.broadcast_to(np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16), (1, 3, 16, 16))
    out = np.empty(images.shape, dtype=np.float32)
    normalise(images, IMAGENET, out)
    np.testing.assert_allclose(out, _naive(images, IMAGENET), rtol=0, atol=5e-7)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 7])
def test_batches_cover_all_images_in_order(batch_size):
    images = _images()
    batches = [b.clone() for b in normalised_batches(images, IMAGENET, batch_size=batch_size)]
    assert [len(b) for b in batches[:-1]] == [batch_size] * (len(batches) - 1)
    joined = torch.cat(batches)
    assert joined.dtype == torch.float32
    np.testing.assert_allclose(joined.numpy(), _naive(images, IMAGENET), rtol=0, atol=5e-7)


def test_batches_share_one_buffer():
    addresses = {b.data_ptr() for b in normalised_batches(_images(), IMAGENET, batch_size=2)}
    assert len(addresses) == 1


def test_no_images_give_no_batch():
    assert list(normalised_batches(_images(0), IMAGENET, batch_size=2)) == []


def test_a_memory_map_is_read_and_left_alone(tmp_path):
    images = _images()
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    batches = [b.clone() for b in normalised_batches(mapped, IMAGENET, batch_size=2)]
    np.testing.assert_allclose(torch.cat(batches), _naive(images, IMAGENET), rtol=0, atol=5e-7)
    assert np.array_equal(np.load(tmp_path / "images.npy"), images)


@pytest.mark.parametrize(
    ("images", "named"),
    [
        (_images().astype(np.float32), "float32"),
        (_images(channels=1), r"\(5, 1, 4, 4\)"),
        (_images()[0], r"\(3, 4, 4\)"),
    ],
)
def test_other_images_are_refused(images, named):
    with pytest.raises(TaskmarkError, match=named):
        next(normalised_batches(images, IMAGENET, batch_size=2))
    with pytest.raises(TaskmarkError, match=r"give uint8 of the shape \(N, 3, H, W\)"):
        normalise(images, IMAGENET, np.empty(images.shape, dtype=np.float32))


@pytest.mark.parametrize(
    ("mean", "std", "named"),
    [
        ((0.5,), (0.5, 0.5), "1 means and 2 standard deviations"),
        ((), (), "0 means"),
        ((0.5,), (0.0,), "deviations above 0"),
        ((float("nan"),), (1.0,), "nan"),
    ],
)
def test_a_normalisation_that_cannot_be_used_is_refused(mean, std, named):
    with pytest.raises(TaskmarkError, match=named):
        Normalisation(mean=mean, std=std)
