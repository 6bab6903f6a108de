"""The validation split: min(10 %, 5000) of train, by a frozen list of rows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGEST = 5000
_SEED = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """Which rows of the official train split are tuned on, and which are chosen on.

    Attributes:
        train: rows, [N - n], int64.
        validation: rows, [n], int64.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]

    @property
    def sha256(self) -> str:
        """The hash of the rows of validation, as little-endian int64."""
        return hashlib.sha256(self.validation.astype("<i8").tobytes()).hexdigest()


def manifest(n_rows: int) -> Manifest:
    """Split N rows of train.

    The rows are those of `torch.utils.data.random_split(train, [N - n, n])` with a generator of
    seed 0 and n = min(N // 10, 5000), which is what the field's code does (Wang et al. 2024): the
    last n of a random permutation, here in increasing order.

    Args:
        n_rows: N.
    """
    import torch  # noqa: PLC0415 - `taskmark data list` need not wait for it

    n_validation = min(n_rows // 10, _LARGEST)
    shuffled = torch.randperm(n_rows, generator=torch.Generator().manual_seed(_SEED)).numpy()
    first = n_rows - n_validation
    return Manifest(np.sort(shuffled[:first]), np.sort(shuffled[first:]))
