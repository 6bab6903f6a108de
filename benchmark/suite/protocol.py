"""The protocol of a suite: all that is the same for every method, checked as it is read."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, field_validator

from taskmark.records.envelope import Search
from taskmark.records.frozen import Frozen

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Names = Annotated[tuple[str, ...], Field(min_length=1)]
Pick = Literal["first", "drawn"]
"""Which images: the first of a split whose order is random, or some that are drawn from it, as a
split takes that may be sorted by class, of whose classes the first images show only a few."""


class Tuning(Frozen):
    """How an expert is tuned: AdamW, linear warm-up, cosine decay, clipped gradients.

    `warmup` is a share of the steps (0.1), or a number of them (500).
    """

    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    warmup: Annotated[int, Field(gt=0, strict=True)] | Fraction
    clip_norm: Annotated[float, Field(gt=0)]
    epochs: Positive
    batch_size: Positive
    label_smoothing: Fraction = 0.0


class DisentanglementGrid(Frozen):
    """The grid, the images a task and the pairs on which xi is measured.

    `images` are the first of the test split, or "drawn" from it.
    """

    alphas: tuple[float, ...]
    n_images: Positive
    images: Pick = "first"
    pairs: tuple[tuple[str, str], ...]

    @field_validator("alphas")
    @classmethod
    def _has_origin(cls, alphas: tuple[float, ...]) -> tuple[float, ...]:
        if alphas.count(0.0) != 1:
            raise ValueError("the grid must hold 0 once, where a task vector is left out")
        return alphas


class NegationRule(Frozen):
    """How tasks are negated.

    `controls` are the tasks that control every target, or each one by its name, or how many of the
    tasks that follow it do. Each must keep the share `keep` of its pre-trained accuracy.
    """

    controls: Positive | Names | dict[str, Names] = 1
    keep: Fraction = 0.95


class LocalisationRule(Frozen):
    """On how many images a task, in how many directions of feature space, the NTK is estimated.

    `images` are the first of the validation split, or "drawn" from it.
    """

    n_images: Annotated[int, Field(ge=2)] = 100
    images: Pick = "first"
    n_directions: Annotated[int, Field(ge=2)] = 8


class Gate(Frozen):
    """How far accuracies may move from those of an earlier run before a comparison fails.

    Attributes:
        epsilon: an accuracy of one row on one task may change by so much, up or down.
        flips: so many of its images may change between right and wrong without being judged;
            processors differ in the last bits of a sum. The images of a run on one machine do not
            flip at all; between AVX2 and AVX-512, after four epochs of tuning, accuracies of up to
            0.011 were seen to move, which the defaults allow.
    """

    epsilon: Annotated[float, Field(ge=0, lt=1)] = 0.02
    flips: Annotated[int, Field(ge=0)] = 5


class Protocol(Frozen):
    """What is the same for every method.

    Attributes:
        trials: points of the scale search.
        search: "exact" reads all of validation at each of them, "racing" stops early at those that
            cannot win.
        scale_ranges: intervals of scales searched in place of the methods' own, by method name.
        gradient_images: images a learning method may pass backward.
        probe_strengths: inverse L2 strengths tried for a probed head, chosen on validation.
        batch_size: images a forward pass takes in evaluation; on a GPU, the least that it takes.
        standard: how standard experts are tuned.
        tangent: how tangent experts are tuned.
        disentanglement: the grid of xi.
        negation: how tasks are negated, for the runs that ask for it.
        localisation: how much of the NTK is looked at, for the runs that ask for it.
    """

    trials: Positive
    search: Search = "exact"
    scale_ranges: dict[str, tuple[float, float]] = Field(default_factory=dict)
    gradient_images: Positive
    probe_strengths: tuple[float, ...]
    batch_size: Positive
    standard: Tuning
    tangent: Tuning
    disentanglement: DisentanglementGrid
    negation: NegationRule | None = None
    localisation: LocalisationRule = LocalisationRule()

    @field_validator("scale_ranges")
    @classmethod
    def _rise(cls, ranges: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        for name, (low, high) in ranges.items():
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise ValueError(f"the range of {name} needs two finite numbers, the smaller first")
        return ranges
