"""The data of a task: images with labels in three frozen splits, plus the words for its classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Split:
    """One split of a task.

    Images that are too many for memory are a view of a file, which then is read where it lies.

    Attributes:
        images: uint8 pixels, [N, H, W, 3], RGB; or the items of another kind, [N, ...].
        labels: class indices, [N], int64, in [0, C); or what the task's head takes, [N, ...].
        file: the .npy of [N, 3, S, S], uint8, that `images` is a view of; None without one.
        sha256: of that file's images and the labels, see `taskmark.suites.real.data.arrays.digest`;
            given with the file.
        prompts: the items without their answers, where items hold these; methods that may not see
            labels see them instead. As `images` in shape.
    """

    images: NDArray[Any]  # [N, H, W, 3]
    labels: NDArray[np.int64]  # [N, ...]
    file: Path | None = None
    sha256: str | None = None
    prompts: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class TaskData:
    """A task: its splits, its class names in label order, and its prompt templates.

    Attributes:
        classes: C class names, in words that a text tower can read.
        templates: prompts with one `{}` each, filled with a class name for zero-shot heads.
        train: what experts are tuned and heads are probed on.
        validation: where every choice is made.
        test: read by the evaluation stage alone.
        note: a sentence that whoever reads figures of this task must know; empty if there is none.
    """

    classes: tuple[str, ...]
    templates: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    note: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large a task is.

    Attributes:
        train: images.
        validation: images.
        test: images.
        n_bytes: of all images as they lie on disk; of the files that they are decoded from too,
            as far as these are known, where the images are not here yet.
        is_here: whether they do.
    """

    train: int
    validation: int
    test: int
    n_bytes: int
    is_here: bool
