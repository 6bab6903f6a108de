"""Provenance: which code, on which machine, with which libraries made a record."""

from __future__ import annotations

import datetime as dt
import functools
import importlib.metadata
import json
import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

import torch

from taskmark.machine.devices import kind_of
from taskmark.plugins.registry import Found, build
from taskmark.records.envelope import MethodFacts, Provenance
from taskmark.records.identity import read_defaults
from taskmark.store.keys import library_versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_OWN = "taskmark"


def provenance(
    *,
    device: str,
    dtype: str,
    batch_size: int,
    notes: Iterable[str] = (),
    resolved: Mapping[str, str] | None = None,
) -> Provenance:
    """Say where and by what a record is made, now.

    Args:
        device: as torch calls it, such as "cuda:1".
        dtype: that images were passed in.
        batch_size: images that were passed at once.
        notes: sentences on what happened to the record, or to what it stands on.
        resolved: hashes of what the suite leaves open, see `taskmark.suite.unfrozen_suites`.
    """
    commit, dirty = own_commit()
    return Provenance(
        created_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        commit=commit,
        dirty=dirty,
        device=device_name(device),
        dtype=dtype,
        batch_size=batch_size,
        platform=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        libraries={_OWN: importlib.metadata.version(_OWN), **library_versions()},
        notes=tuple(sorted(notes)),
        resolved=dict(resolved or {}),
    )


def device_name(device: str) -> str:
    """The device with the name of its model: "cuda: NVIDIA H100", "cpu: x86_64"."""
    if device.startswith("cuda"):
        return f"{kind_of(device)}: {torch.cuda.get_device_name(device)}"
    return f"cpu: {torch.backends.cpu.get_cpu_capability()}"


def method_facts(found: Found, hyperparameters: dict[str, object]) -> MethodFacts:
    """What a record says of a method; a plug-in's own commit comes along."""
    method = build(found.method, hyperparameters)
    commit, dirty = own_commit() if found.origin == "built-in" else _commit_of(found)
    return MethodFacts(
        name=method.name,
        summary=method.summary(),
        track=method.track,
        role=method.role,
        paper=method.paper,
        bibtex=method.bibtex,
        hyperparameters=method.hyperparameters(),
        defaults=read_defaults(found.hyperparameters()),
        origin=found.origin,
        source_sha256=found.source_sha256(),
        commit=commit,
        dirty=dirty,
    )


@functools.cache
def own_commit() -> tuple[str | None, bool | None]:
    """The commit of taskmark and whether its tree is dirty; None where neither can be known."""
    installed = _installed_from(_OWN)
    return installed if installed[0] else git_commit(Path(__file__).parent)


def git_commit(folder: Path) -> tuple[str | None, bool | None]:
    """The commit of the working tree around a folder, and whether it is dirty."""
    head = _git(folder, "rev-parse", "HEAD")
    if head is None:
        return None, None
    return head, bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))


def _commit_of(found: Found) -> tuple[str | None, bool | None]:
    if found.distribution is not None:
        installed = _installed_from(found.distribution)
        if installed[0]:
            return installed
    return git_commit(found.source.parent)


def _installed_from(distribution: str) -> tuple[str | None, bool | None]:
    # PEP 610: an installer writes down the commit or the folder that it installed from.
    try:
        text = importlib.metadata.distribution(distribution).read_text("direct_url.json")
    except (importlib.metadata.PackageNotFoundError, OSError, ValueError):
        return None, None
    return commit_in(text or "{}")


def commit_in(direct_url: str) -> tuple[str | None, bool | None]:
    """The commit that PEP 610's `direct_url.json` names, and whether its tree is dirty.

    None where it names none, or is not what it should be: an installer wrote it, not the user.
    """
    try:
        origin = json.loads(direct_url)
        if "vcs_info" in origin:
            commit = origin["vcs_info"]["commit_id"]
            return (commit, False) if isinstance(commit, str) else (None, None)
        if "dir_info" in origin:
            return git_commit(Path(unquote(urlparse(origin["url"]).path)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    return None, None


def git(folder: Path, *arguments: str, seconds: float) -> str:
    """What a command of git prints, within a folder.

    Args:
        folder: in the working tree.
        arguments: of the command.
        seconds: that it may take.

    Raises:
        OSError: if there is no git, or no such folder.
        ValueError: if an argument is none, such as a path with a null byte.
        subprocess.SubprocessError: if it fails or takes longer.
    """
    done = subprocess.run(  # noqa: S603
        ["git", "-C", str(folder), *arguments],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds,
    )
    return done.stdout


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        return git(folder, *arguments, seconds=10).strip()
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
