"""Drawing images, or kinds of images, gives the same distribution."""

from __future__ import annotations

import numpy as np
import pytest

from taskmark.statistics import resampling


def test_two_images_take_the_sums_worked_out_by_hand():
    # One image of two is correct: of two drawn, 0, 1, 2 are correct with chances 1/4, 1/2, 1/4.
    sums = resampling.resampled_sums(
        np.array([[1.0], [0.0]]), resamples=40_000, generator=np.random.default_rng(0)
    )
    _, counts = np.unique(sums, return_counts=True)
    assert counts / 40_000 == pytest.approx([0.25, 0.5, 0.25], abs=0.01)


def test_drawing_images_and_drawing_kinds_of_images_agree(monkeypatch):
    generator = np.random.default_rng(3)
    columns = (generator.random((900, 3)) < [0.2, 0.5, 0.9]).astype(np.float32)
    both = []
    for share in (1.0, 0.0):
        monkeypatch.setattr(resampling, "_DISTINCT_SHARE", share)
        both.append(resampling.resampled_sums(columns, 20_000, np.random.default_rng(1)))
    by_kind, by_image = both
    assert by_kind.mean(axis=0) == pytest.approx(by_image.mean(axis=0), rel=2e-3)
    assert np.cov(by_kind.T) == pytest.approx(np.cov(by_image.T), abs=5.0)
