"""What is said of experts that somebody else tuned: `experts.toml`, in their folder or above it."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from taskmark.contract.recipe import Mode
from taskmark.records.frozen import Frozen
from taskmark.suite.toml_files import faults_in_sentences

if TYPE_CHECKING:
    from pathlib import Path

LABEL = "experts.toml"
"""The file that says whose the experts beside and below it are."""


class Label(Frozen):
    """What `experts.toml` says.

    Attributes:
        family: the name under which all experts of this kind go, in figures that are compared.
        source: where they are from.
        licence: under which they may be used.
        recipe: how they were tuned.
        seed: of their tuning; a folder that is called by its seed need not say it.
        ignore: patterns of the names of tensors that the files may hold beyond the backbone's, such
            as "lm_head.*"; all others are refused.
    """

    family: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")] | None = None
    source: str = ""
    licence: str = ""
    recipe: Mode = "standard"
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] | None = None
    ignore: tuple[str, ...] = ()


def label_of(folder: Path, root: Path) -> Label:
    """What is said of the experts in a folder, by the nearest file on the way up to the root.

    Raises:
        TaskmarkError: if that file cannot be read or does not follow the schema.
    """
    for place in (folder, *folder.parents):
        if (place / LABEL).exists():
            return read_label(place / LABEL)
        if place == root:
            break
    return Label()


def read_label(path: Path) -> Label:
    """Read one such file.

    Raises:
        TaskmarkError: if it cannot be read or does not follow the schema.
    """
    fields = "family (small letters, digits and marks), source, licence, recipe, seed and ignore"
    with faults_in_sentences(f"The file {str(path)!r}", hint=f"; it may have {fields}"):
        return Label(**tomllib.loads(path.read_text("utf-8")))
