"""The way to the hub: the files of a data set, by commit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import huggingface_hub
from huggingface_hub import constants

from taskmark.errors import TaskmarkError
from taskmark.suites.real.data import repository_paths
from taskmark.suites.real.data.space import require_space
from taskmark.suites.real.hub_errors import OutOfReachError, in_sentences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmark.suites.real.data.public_data_sets import DataSet

_CONVERTED = "refs/convert/parquet"
# How the hub numbers the parts of a split; older uploads add a hash of each part.
_OF = re.compile(r"-(\d{5})-of-(\d{5})(?:-[0-9a-f]{8,64})?\.")


def fetch(
    data: DataSet,
    revision: str,
    *,
    files: Mapping[str, int] | None = None,
    cache: Path | None = None,
    decoded: Mapping[Path, float] | None = None,
) -> Path:
    """Bring the files of a data set to this machine; those in the cache are not fetched again.

    Args:
        data: which files of which repository.
        revision: the full commit hash.
        files: the bytes of each file by path, where they are known; else the hub is asked.
        cache: folder of the hub's cache; its own default (HF_HOME, HF_HUB_CACHE) if not said.
        decoded: bytes by folder that decoding will need beside.

    Returns:
        The folder of the snapshot.

    Raises:
        TaskmarkError: if the files are not in the cache and cannot be fetched.
    """
    sizes = files or _needed(data, revision)
    folder = cache or Path(constants.HF_HUB_CACHE)
    lacking = [p for p in sizes if not _is_cached(data, p, revision, cache)]
    if lacking:
        n_bytes = float(sum(sizes[path] for path in lacking))
        needs = dict(decoded or {})
        needs[folder] = needs.get(folder, 0) + n_bytes
        require_space(f"The files of {data.repository}", needs)
    with in_sentences(data.repository, revision):
        snapshot = huggingface_hub.snapshot_download(
            data.repository,
            repo_type="dataset",
            revision=revision,
            allow_patterns=list(sizes) or data.patterns(),
            cache_dir=cache,
        )
    return Path(snapshot)


def newest(data: DataSet) -> str:
    """The newest commit of a data set's repository that has its files.

    That is the main branch's, or else that of the branch where the hub keeps its own conversion.

    Raises:
        TaskmarkError: if the hub cannot be asked, or neither has the files.
    """
    commit = _commit(data, "main")
    there = _listed(data, commit)
    if repository_paths.find(data, there):
        return commit
    try:
        converted = _commit(data, _CONVERTED)
        if repository_paths.find(data, _listed(data, converted)):
            return converted
    except TaskmarkError as error:
        raise repository_paths.absent(data, there, commit) from error
    raise repository_paths.absent(data, there, commit)


def _commit(data: DataSet, branch: str) -> str:
    with in_sentences(data.repository, branch):
        found = huggingface_hub.HfApi().dataset_info(data.repository, revision=branch).sha
    if found is None:
        raise TaskmarkError(f"The hub names no commit of {data.repository}; ask again later.")
    return found


def _needed(data: DataSet, revision: str) -> dict[str, int]:
    """The bytes of each file that is needed by its path; none where there is no way to the hub."""
    if constants.HF_HUB_OFFLINE:
        return {}
    try:
        there = _listed(data, revision)
    except OutOfReachError:
        return {}  # it may all be in the cache
    if (files := repository_paths.find(data, there)) is None:
        raise repository_paths.absent(data, there, revision)
    patterns = [pattern for split in files.values() for pattern in split]
    paths = repository_paths.matching([*patterns, *filter(None, [data.class_file])], there)
    return {path: there[path] for path in paths}


def _listed(data: DataSet, revision: str) -> dict[str, int]:
    """All files of a repository at a commit: bytes by path."""
    from huggingface_hub.hf_api import RepoFile  # noqa: PLC0415 - takes half a second

    with in_sentences(data.repository, revision):
        entries = huggingface_hub.HfApi().list_repo_tree(
            data.repository, repo_type="dataset", revision=revision, recursive=True
        )
        return {entry.path: entry.size for entry in entries if isinstance(entry, RepoFile)}


def _is_cached(data: DataSet, path: str, revision: str, cache: Path | None) -> bool:
    found = huggingface_hub.try_to_load_from_cache(
        data.repository, path, cache_dir=cache, revision=revision, repo_type="dataset"
    )
    return isinstance(found, str)


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
        named = _OF.search(file.name)
        if named and (n_there := len(_parts(file, found))) != int(named[2]):
            raise TaskmarkError(
                f"Only {n_there} of {int(named[2])} parts of {_OF.sub('.', file.name)} of "
                f"{data.repository} are here; go on with `taskmark data fetch`."
            )
    return sorted(found)


def _parts(file: Path, among: set[Path]) -> set[Path]:
    name = _OF.sub(".", file.name)
    same_folder = {other for other in among if other.parent == file.parent}
    return {other for other in same_folder if _OF.sub(".", other.name) == name}
