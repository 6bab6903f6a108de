"""The record of NTK localisation: how apart a pre-trained model keeps the images of two tasks."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from taskmark.records.envelope import Envelope, Heads
from taskmark.records.frozen import Frozen


class Eigenfunction(Frozen):
    """One eigenfunction of the kernel on the images of two tasks.

    Attributes:
        share: its eigenvalue over the sum of all.
        energy: sum of its squares over the images of the first task; over those of both it is 1.
    """

    share: float
    energy: float


class LocalisationEstimate(Frozen):
    """How far eigenfunctions live on one task or the other, and what chance would give.

    Attributes:
        value: sum over eigenfunctions of share * |energy on one task - energy on the other|; 1 if
            each lives on the images of one task alone, 0 if each is evenly spread over both.
        direction_error: standard error from the random directions in which the kernel is estimated
            (jackknife over the directions, corrected for their being a part of all); 0 where the
            kernel is exact.
        image_error: standard error from the images, with the directions held fixed (standard
            deviation over random halves of the images of either task).
        null_mean: mean of the value where the two tasks are shuffled over the images.
        null_low: lower end of the central 95 % of those values.
        null_high: upper end of it.
    """

    value: float
    direction_error: float
    image_error: float
    null_mean: float
    null_low: float
    null_high: float


class LocalisedPair(Frozen):
    """The localisation of one pair of tasks, with `n_images` of each.

    `leading` are the eigenfunctions of the largest eigenvalues, in falling order.
    """

    task_1: str
    task_2: str
    n_images: int
    localisation: LocalisationEstimate
    leading: tuple[Eigenfunction, ...]


class LocalisationCost(Frozen):
    """What it took; `gradient_images` counts images passed forward and backward, with repeats."""

    gradient_images: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    device_peak_bytes: int | None = None


class LocalisationRecord(Envelope):
    """NTK localisation of one pre-trained backbone.

    The kernel is that of the encoder's features at theta0, on inputs of the frozen stem, without a
    head: K(x, x') = (1 / D) sum_d <grad f_d(x), grad f_d(x')>, estimated in `n_directions` of the
    `n_features` dimensions D; exact if both are equal. Its eigenfunctions on the validation images
    of two tasks are the eigenvectors of K on these images. That eigenfunctions of one task have
    little energy on another is the condition under which tasks can be added in the tangent space
    (Ortiz-Jimenez et al. 2023, on eigenfunction localisation). The paper looks at those
    eigenfunctions that represent one fine-tuned model; the scalar here weighs all of them by
    their eigenvalues, needs no fine-tuned model, and is this benchmark's own.
    `localisation` is the mean over pairs.
    """

    folder: ClassVar[str] = "localisation"
    command: ClassVar[str] = "taskmark run --localisation"
    unhashed: ClassVar[frozenset[str]] = frozenset({"cost"})

    heads: Heads = Field(default="none", exclude_if=lambda heads: heads == "none")
    recipe: str = Field(default="", exclude_if=lambda recipe: not recipe)
    split: Literal["validation"] = "validation"
    n_directions: int
    n_features: int
    pairs: tuple[LocalisedPair, ...]
    localisation: LocalisationEstimate
    cost: LocalisationCost

    def line(self) -> str:
        """What was found, for a terminal: the mean over pairs with standard errors, and chance."""
        found = self.localisation
        pairs = "1 pair" if len(self.pairs) == 1 else f"{len(self.pairs)} pairs"
        return (
            f"NTK localisation, {self.backbone}, {pairs}: "
            f"{found.value:.3f} (s.e. {found.image_error:.3f} by images, "
            f"{found.direction_error:.3f} by directions), "
            f"tasks shuffled {found.null_mean:.3f} [{found.null_low:.3f}, {found.null_high:.3f}]"
        )
