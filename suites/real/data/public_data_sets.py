"""What each data set is and where the hub keeps it, read from `datasets.toml`."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from taskmark.errors import TaskmarkError, unknown

FILE = Path(__file__).with_name("datasets.toml")

SourceSplit = Literal["train", "test"]
SOURCE_SPLITS: tuple[SourceSplit, ...] = ("train", "test")
"""The official splits; validation is taken from train."""

Positive = Annotated[int, Field(gt=0)]
Template = Annotated[str, Field(pattern=r"^[^{}]*\{\}[^{}]*$")]
Patterns = Annotated[tuple[str, ...], Field(min_length=1)]


class DataSet(BaseModel):
    """One task as the hub stores it.

    Attributes:
        title: its name among people.
        repository: "owner/name" of the hub's data set.
        format: of the files, Parquet tables or tar archives of single files.
        files: patterns of the files of each official split; all else of the repository, such as
            corrupted copies, stays where it is.
        image_columns: names under which the encoded image may stand; the first found counts.
        label_columns: likewise of the label.
        some_parts: splits whose patterns leave numbered parts out on purpose.
        class_file: a file with one class name a line, where the format has no place for them.
        n_classes: labels are in [0, n_classes).
        native_size: side in pixels, if all images are squares of it; they are stored as they are.
        official_rows: images in each official split.
        licence: in short; "not stated" where the authors do not say.
        epochs: of tuning an expert (Ortiz-Jimenez et al. 2023; Wang et al. 2024 for the later 12).
        templates: prompts with one `{}` each.
        words: the classes in words, in label order; empty where the names in the files serve,
            of which those that repeat get their label, as in "crane (134)".
        misspelt: names in the files that are no words, and the words that are meant.
        note: what surprises.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    format: Literal["parquet", "tar"] = "parquet"
    files: dict[SourceSplit, Patterns]
    image_columns: Patterns = ("image",)
    label_columns: Patterns = ("label",)
    some_parts: tuple[SourceSplit, ...] = ()
    class_file: str | None = None
    n_classes: Positive
    native_size: Annotated[int, Field(gt=0, le=96)] | None = None
    official_rows: dict[SourceSplit, Positive] = {}
    licence: str
    epochs: Positive
    templates: Annotated[tuple[Template, ...], Field(min_length=1)]
    words: tuple[str, ...] = ()
    misspelt: dict[str, str] = {}
    note: str = ""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if set(self.files) != set(SOURCE_SPLITS):
            raise ValueError("`files` must name the splits train and test")
        if self.words and len(set(self.words)) != self.n_classes:
            raise ValueError(f"`words` must hold {self.n_classes} different ones")
        return self

    def patterns(self) -> list[str]:
        """Patterns of all files that are needed."""
        found = [pattern for split in SOURCE_SPLITS for pattern in self.files[split]]
        return [*found, self.class_file] if self.class_file else found


@functools.cache
def definitions(file: Path = FILE) -> dict[str, DataSet]:
    """All data sets by the names of their tasks.

    Raises:
        TaskmarkError: if the file is not as it must be.
    """
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
        return {name: DataSet.model_validate(table) for name, table in tables.items()}
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise TaskmarkError(
            f"The definitions of data sets in {file} are damaged ({error}); reinstall taskmark."
        ) from error


def definition(task: str) -> DataSet:
    """The data set of a task.

    Raises:
        TaskmarkError: if there is none of that name.
    """
    known = definitions()
    if task not in known:
        raise unknown("data set", task, known)
    return known[task]
