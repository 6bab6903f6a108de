"""The list of a data set's duplicates: made when it is decoded, and kept beside its arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from taskmark.errors import TaskmarkError
from taskmark.suites.real.data.duplicates import Pair, likenesses, sketch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from taskmark.suites.real.data.arrays import Arrays
    from taskmark.suites.real.data.duplicates import Sketches

FILE = "duplicates.json"

_MANY = 0.01  # of the test images; a hundredth moves an accuracy by a point at most
_SHOWN = 5  # pairs, of each kind


@dataclass(frozen=True, slots=True)
class DuplicateList:
    """Images of test that stand elsewhere too, each as (row of test, row there).

    Attributes:
        removed: copies, by their rows in the official train split. Neither train nor validation
            has them any more.
        train: images that experts are tuned on, nearly alike.
        validation: images that choices are made on, nearly alike.
    """

    removed: tuple[Pair, ...]
    train: tuple[Pair, ...]
    validation: tuple[Pair, ...]

    def n_near(self) -> int:
        """How many test images have another nearly like them in train or validation."""
        return len({row for found in (self.train, self.validation) for row, _ in found})

    def are_many(self, n_test: int) -> bool:
        """Whether they are worth a note: what is nearly alike may move an accuracy by a point."""
        return max(len(self.removed), self.n_near()) > _MANY * n_test

    def summary(self, n_test: int) -> str:
        """What is said of them, without a full stop."""
        near = f"{self.n_near():,} of {n_test:,} test images"
        share = f" ({self.n_near() / n_test:.1%})" if self.n_near() else ""
        taken = f"{len(self.removed):,} copies of test images were taken out of train; "
        return f"{taken if self.removed else ''}{near}{share} nearly stand in train or validation"

    def describe(self) -> str:
        """A few pairs in words: "test 5 = official train 11 (taken out), test 7 ~ train 3"."""
        kinds = (
            (self.removed, "test {} = official train {} (taken out)"),
            (self.train, "test {} ~ train {}"),
            (self.validation, "test {} ~ validation {}"),
        )
        parts = []
        for pairs, words in kinds:
            parts += [words.format(*pair) for pair in pairs[:_SHOWN]]
            parts += ["..."] if len(pairs) > _SHOWN else []
        return ", ".join(parts)


_Form = TypeAdapter(DuplicateList)


def find(splits: Mapping[str, Arrays], removed: Sequence[Pair]) -> DuplicateList:
    """Look for the images of test in train and validation.

    Args:
        splits: arrays of test, train and validation, read block by block.
        removed: the copies that were taken out of them.
    """
    return found_in({split: sketch(arrays.images) for split, arrays in splits.items()}, removed)


def found_in(sketched: Mapping[str, Sketches], removed: Sequence[Pair]) -> DuplicateList:
    """As `find`, of sketches that were made already."""
    test = sketched["test"]
    return DuplicateList(
        removed=tuple(removed),
        train=likenesses(test, sketched["train"]),
        validation=likenesses(test, sketched["validation"]),
    )


def write(found: DuplicateList, folder: Path) -> Path:
    """Write the list beside the arrays; the file.

    Raises:
        OSError: if it cannot be written.
    """
    file = folder / FILE
    file.write_bytes(_Form.dump_json(found))
    return file


def read(folder: Path) -> DuplicateList:
    """Read the list beside the arrays.

    Raises:
        TaskmarkError: if it is missing or damaged.
    """
    try:
        return _Form.validate_json((folder / FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise TaskmarkError(
            f"The list of duplicates {folder / FILE} is missing or damaged; write it anew with "
            "`taskmark data verify`."
        ) from error
