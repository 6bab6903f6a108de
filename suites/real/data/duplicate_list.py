"""The list of a data set's duplicates: made when it is decoded, and kept beside its arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from taskmark.errors import TaskmarkError
from taskmark.suites.real.data.duplicates import Duplicates, duplicates, sketch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from taskmark.suites.real.data.arrays import Arrays

FILE = "duplicates.json"

_MANY = 0.01  # of the test images; a hundredth moves an accuracy by a point at most
_SHOWN = 5  # pairs, of each kind


@dataclass(frozen=True, slots=True)
class DuplicateList:
    """Test images that stand elsewhere too, each with its row there.

    Attributes:
        train: pairs with images that experts are tuned on.
        validation: pairs with images that choices are made on.
    """

    train: Duplicates
    validation: Duplicates

    def counts(self) -> tuple[int, int]:
        """How many test images stand elsewhere exactly, and how many of the others nearly."""
        both = (self.train, self.validation)
        exact = {row for found in both for row, _ in found.exact}
        near = {row for found in both for row, _ in found.near}
        return len(exact), len(near - exact)

    def are_many(self, n_test: int) -> bool:
        """Whether they may move an accuracy by more than a point."""
        return sum(self.counts()) > _MANY * n_test

    def summary(self, n_test: int) -> str:
        """What is said of them, without a full stop."""
        exact, near = self.counts()
        of_all = f"{exact + near:,} of {n_test:,} test images"
        if not exact + near:
            return f"{of_all} stand in train or validation too"
        share = (exact + near) / n_test
        kinds = f"{exact:,} exactly and {near:,} nearly"
        return f"{of_all} ({share:.1%}) stand in train or validation too, {kinds}"

    def shown(self) -> str:
        """A few pairs in words: "test 5 = train 11, test 7 ~ train 3"."""
        parts = []
        for split, found in (("train", self.train), ("validation", self.validation)):
            for sign, pairs in (("=", found.exact), ("~", found.near)):
                parts += [f"test {row} {sign} {split} {other}" for row, other in pairs[:_SHOWN]]
                parts += ["..."] if len(pairs) > _SHOWN else []
        return ", ".join(parts)


_Form = TypeAdapter(DuplicateList)


def find(splits: Mapping[str, Arrays]) -> DuplicateList:
    """Look for the images of test in train and validation.

    Args:
        splits: arrays of test, train and validation, read block by block.
    """
    sketched = {split: sketch(found.images) for split, found in splits.items()}
    test = sketched["test"]
    return DuplicateList(
        train=duplicates(test, sketched["train"]),
        validation=duplicates(test, sketched["validation"]),
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
