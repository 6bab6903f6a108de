"""The way to the hub: the files of a data set, by commit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import huggingface_hub

from taskmark.errors import TaskmarkError
from taskmark.suites.real.hub_errors import in_sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmark.suites.real.data.definition import DataSet

# How the hub numbers the parts of a split; older uploads add a hash of each part.
_OF = re.compile(r"-(\d{5})-of-(\d{5})(?:-[0-9a-f]{8,64})?\.")


def fetch(data: DataSet, revision: str, *, cache: Path | None = None) -> Path:
    """Bring the files of a data set to this machine; those in the cache are not fetched again.

    Args:
        data: which files of which repository.
        revision: the full commit hash.
        cache: folder of the hub's cache; its own default (HF_HOME, HF_HUB_CACHE) if not said.

    Returns:
        The folder of the snapshot.

    Raises:
        TaskmarkError: if the files are not in the cache and cannot be fetched.
    """
    with in_sentences(data.repository, revision):
        folder = huggingface_hub.snapshot_download(
            data.repository,
            repo_type="dataset",
            revision=revision,
            allow_patterns=data.patterns(),
            cache_dir=cache,
        )
    return Path(folder)


def newest(data: DataSet) -> str:
    """The newest commit of a data set's repository.

    Raises:
        TaskmarkError: if the hub cannot be asked.
    """
    with in_sentences(data.repository, "main"):
        found = huggingface_hub.HfApi().dataset_info(data.repository).sha
    if found is None:
        raise TaskmarkError(f"The hub names no commit of {data.repository}; ask again later.")
    return found


def matching(
    folder: Path, patterns: Sequence[str], data: DataSet, *, some_parts: bool = False
) -> list[Path]:
    """The files of a snapshot that patterns name, in order, with no part missing.

    Args:
        folder: of the snapshot.
        patterns: of files in it.
        data: whose files they are.
        some_parts: whether the patterns leave numbered parts out on purpose.

    Raises:
        TaskmarkError: if a pattern names none, or numbered parts are missing.
    """
    found: set[Path] = set()
    for pattern in patterns:
        files = set(folder.glob(pattern))
        if not files:
            raise TaskmarkError(
                f"{data.repository} has no file {pattern} at the commit {folder.name[:12]}, or it "
                "was not fetched; run `taskmark data fetch`, or lock another commit."
            )
        found |= files
    for file in () if some_parts else found:
        told = _OF.search(file.name)
        if told and (n_there := len(_parts(file, found))) != int(told[2]):
            raise TaskmarkError(
                f"Only {n_there} of {int(told[2])} parts of {_OF.sub('.', file.name)} of "
                f"{data.repository} are here; go on with `taskmark data fetch`."
            )
    return sorted(found)


def _parts(file: Path, among: set[Path]) -> set[Path]:
    name = _OF.sub(".", file.name)
    same_folder = {other for other in among if other.parent == file.parent}
    return {other for other in same_folder if _OF.sub(".", other.name) == name}
