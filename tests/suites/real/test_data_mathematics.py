"""Splits, resizing and duplicates, against libraries, by hand and by properties."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.func import jvp
from torch.utils.data import random_split

from taskmark.errors import TaskmarkError
from taskmark.suites.real.data.arrays import Arrays, digest
from taskmark.suites.real.data.duplicates import copies, likenesses, sketch
from taskmark.suites.real.data.resize import _weights_on, resize
from taskmark.suites.real.data.validation_split import manifest


@pytest.mark.parametrize(("n_rows", "n_validation"), [(9, 0), (1020, 102), (60000, 5000)])
def test_validation_is_what_random_split_takes(n_rows, n_validation):
    found = manifest(n_rows)
    parts = random_split(
        range(n_rows), [n_rows - n_validation, n_validation], torch.Generator().manual_seed(0)
    )
    assert found.train.tolist() == sorted(parts[0].indices)
    assert found.validation.tolist() == sorted(parts[1].indices)


def test_the_manifest_of_validation_is_frozen():
    found = manifest(40)
    assert found.sha256 == hashlib.sha256(np.array(found.validation, "<i8").tobytes()).hexdigest()
    assert found.validation.tolist() == [13, 22, 23, 33]


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(12, 96),
    target=st.sampled_from([17, 64, 224]),
    seed=st.integers(0, 99),
)
def test_resizing_is_that_of_pillow_to_two_levels(size, target, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    expected = Image.fromarray(pixels).resize((target, target), Image.Resampling.BICUBIC)
    found = resize(torch.from_numpy(pixels).permute(2, 0, 1)[None], target)
    assert found.dtype == torch.uint8
    difference = found[0].permute(1, 2, 0).numpy().astype(int) - np.asarray(expected)
    assert np.abs(difference).max() <= 2


def noise(size, n=2):
    source = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=source)


@pytest.mark.parametrize("size", [28, 64])
def test_resizing_is_the_same_under_autocast(size):
    expected = resize(noise(size), 48)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
        assert torch.equal(resize(noise(size), 48), expected)
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_resizing_is_the_same_for_each_image_of_a_map():
    images = noise(24, n=3)
    found = torch.vmap(lambda image: resize(image[None], 40)[0])(images)
    assert torch.equal(found, resize(images, 40))


def test_the_kernel_is_moved_to_a_device_once_whatever_mode_asks_first():
    images = noise(31)
    expected = resize(images, 37)

    def derivative():
        def scaled(factor):
            return factor * resize(images, 37).double().mean()

        with torch.device("meta"):
            return jvp(
                scaled, (torch.tensor(2.0, device="cpu"),), (torch.tensor(1.0, device="cpu"),)
            )

    for first in (derivative, lambda: torch.inference_mode()(resize)(images, 37)):
        _weights_on.cache_clear()
        first()
        factor = torch.tensor(1.0, requires_grad=True)
        (resize(images, 37) * factor).sum().backward()
        assert factor.grad == expected.sum()
        assert derivative()[1] == expected.double().mean()
        assert torch.equal(resize(images, 37), expected)
        assert _weights_on.cache_info().misses == 1


def test_images_that_are_not_square_are_refused():
    with pytest.raises(TaskmarkError, match="Images of 5 x 4 pixels are not square"):
        resize(torch.zeros(1, 3, 4, 5, dtype=torch.uint8), 8)


def test_images_of_the_right_size_are_left_alone():
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    assert resize(images, 8) is images


def smooth(n, size, seed):
    """Images without much detail, as photographs are, [n, 3, S, S]."""
    coarse = np.random.default_rng(seed).integers(20, 236, (n, 5, 5, 3), dtype=np.uint8)
    made = [Image.fromarray(c).resize((size, size), Image.Resampling.BICUBIC) for c in coarse]
    return np.stack([np.asarray(image).transpose(2, 0, 1) for image in made])


@pytest.mark.parametrize("size", [28, 96])
def test_copies_are_found_and_nothing_else(size):
    train, test = smooth(40, size, seed=1), smooth(12, size, seed=2)
    test[3] = train[17]
    test[5] = np.clip(train[20].astype(int) + 2, 0, 255)  # a little brighter
    noise = np.random.default_rng(0).integers(-2, 3, test[7].shape)
    test[7] = np.clip(train[39].astype(int) + noise, 0, 255)
    assert copies(sketch(test), sketch(train)) == ((3, 17),)
    assert likenesses(sketch(test), sketch(train)) == ((3, 17), (5, 20), (7, 39))


def test_an_image_that_is_much_brighter_is_no_duplicate():
    train = smooth(3, 32, seed=1) // 2
    assert copies(sketch(train + 60), sketch(train)) == ()
    assert likenesses(sketch(train + 60), sketch(train)) == ()


def test_every_copy_is_found_with_the_first_test_image_that_it_is_of():
    train = smooth(4, 32, seed=1)
    train[3] = train[1]
    test = np.stack([train[0] // 2, train[1], train[1]])
    assert copies(sketch(test), sketch(train)) == ((1, 1), (1, 3))


def test_sketches_of_some_rows_are_those_of_these_images():
    images, rows = smooth(5, 32, seed=1), np.array([4, 1])
    some, alone = sketch(images).of(rows), sketch(images[rows])
    assert some.pixels == alone.pixels
    np.testing.assert_array_equal(some.signs, alone.signs)
    np.testing.assert_array_equal(some.thumbnails, alone.thumbnails)


def test_a_digest_covers_shape_pixels_and_labels():
    images = np.arange(300 * 12, dtype=np.int64).astype(np.uint8).reshape(300, 3, 2, 2)
    labels = np.arange(300)
    expected = hashlib.sha256(b"(300, 3, 2, 2)")
    for block in (images[:256], images[256:]):
        expected.update(hashlib.sha256(block.tobytes()).digest())
    expected.update(labels.astype("<i8").tobytes())
    assert digest(Arrays(images, labels)) == expected.hexdigest()
    changed = images.copy()
    changed[299, 2, 1, 1] ^= 1
    assert digest(Arrays(changed, labels)) != expected.hexdigest()
    assert digest(Arrays(images, labels[::-1])) != expected.hexdigest()
