"""Reading files of weights that others wrote: tensors by name, and never code."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

SUFFIXES = (".safetensors", ".pt", ".bin", ".pth")
"""What may be read; the first comes first where several are there."""

INDEX = ".index.json"
"""How the file ends that says which tensor lies in which of several files (shards)."""

_PLAIN = re.compile(r"[\w.-]+")  # a file of the same folder


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, or of the shards that an index names, as they are in them.

    Files of torch are read without running what is pickled in them, so one that holds a whole
    module, and not its tensors alone, cannot be read.

    Raises:
        TaskmarkError: if there is no such file, it is damaged, or holds anything but tensors.
    """
    if path.name.endswith(INDEX):
        return _of_shards(path)
    if path.suffix.lower() not in SUFFIXES:
        raise TaskmarkError(
            f"Weights in {path} cannot be read; bring a file that ends in {', '.join(SUFFIXES)}."
        )
    if not path.is_file():
        raise TaskmarkError(f"There is no file of weights {path}; see how the name is spelt.")
    from safetensors.torch import load_file  # noqa: PLC0415 - a list of files needs no torch

    try:
        if path.suffix.lower() == SUFFIXES[0]:
            return load_file(path)
        return _tensors(_unpacked(path), path)
    except TaskmarkError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise TaskmarkError(
            f"The file of weights {path} is damaged ({reason}); get it anew."
        ) from (error)


def files_of(path: Path) -> tuple[Path, ...]:
    """The files that hold a model's weights: the file itself, or an index and its shards.

    Raises:
        TaskmarkError: if an index cannot be read, or a shard is not there.
    """
    if not path.name.endswith(INDEX):
        return (path,)
    names = sorted(set(_weight_map(path).values()))
    if missing := [name for name in names if not path.with_name(name).is_file()]:
        raise TaskmarkError(
            f"The index {path} names {len(names)} files and {', '.join(missing)} is not there; "
            "bring all of them."
        )
    return path, *(path.with_name(name) for name in names)


def _of_shards(index: Path) -> dict[str, Tensor]:
    places = _weight_map(index)
    found: dict[str, Tensor] = {}
    for file in files_of(index)[1:]:
        own = read_tensors(file)
        if strange := {name for name in own if places.get(name) != file.name}:
            raise TaskmarkError(
                f"The file {file} holds the tensor {min(strange)!r}, which {index.name} does not "
                "place there; bring shards and index of one model."
            )
        found |= own
    if missing := places.keys() - found.keys():
        raise TaskmarkError(
            f"The tensor {min(missing)!r} is not in {places[min(missing)]}, where {index} places "
            "it; bring shards and index of one model."
        )
    return found


def _weight_map(index: Path) -> dict[str, str]:
    """Which file holds which tensor; the names of files are those of this folder alone."""
    try:
        content = json.loads(index.read_text("utf-8"))
        places = {str(name): str(file) for name, file in content["weight_map"].items()}
    except OSError as error:
        raise TaskmarkError(
            f"The index {index} cannot be read ({error.strerror}); make it readable."
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise TaskmarkError(f"The index {index} has no table of tensors; get it anew.") from error
    for file in places.values():
        if not _PLAIN.fullmatch(file) or not file.endswith(SUFFIXES):
            raise TaskmarkError(
                f"The index {index} names {file!r}, which is no file of weights beside it; get it "
                "anew."
            )
    return places


def _unpacked(path: Path) -> object:
    import torch  # noqa: PLC0415 - likewise

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if _is_of_torch(path) and _holds_more_than_tensors(str(error)):
            raise TaskmarkError(
                f"{path} holds a pickled module, which would run its code here; save "
                "`module.state_dict()` alone, with safetensors, where you trust it."
            ) from error
        raise


def _is_of_torch(path: Path) -> bool:
    """Whether a file opens as those of torch do, by now archives, and once bare pickles."""
    with path.open("rb") as file:
        return file.read(2) in {b"PK", b"\x80\x02"}


def _holds_more_than_tensors(reason: str) -> bool:
    return any(sign in reason for sign in ("Weights only load failed", "TorchScript"))


def _tensors(content: object, path: Path) -> dict[str, Tensor]:
    from taskmark.contract.foreign_weights import named_tensors  # noqa: PLC0415 - likewise

    found = named_tensors(content, str(path)) if isinstance(content, Mapping) else {}
    if not found:
        raise TaskmarkError(f"{path} holds no tensors by name; bring a state dict.")
    return found
