"""Reading files of weights that others wrote: tensors by name, and never code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (".safetensors", ".pt", ".bin", ".pth")
"""What may be read; the first comes first where several are there."""

_WRAPPERS = ("state_dict", "model_state_dict", "model")  # what trainers put around the tensors


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, as they are in it.

    Files of torch are read without running what is pickled in them, so one that holds a whole
    module, and not its tensors alone, cannot be read.

    Raises:
        TaskmarkError: if there is no such file, it is damaged, or holds anything but tensors.
    """
    if path.suffix not in SUFFIXES:
        raise TaskmarkError(
            f"Weights in {path} cannot be read; bring a file that ends in {', '.join(SUFFIXES)}."
        )
    if not path.is_file():
        raise TaskmarkError(f"There is no file of weights {path}; see how the name is spelt.")
    try:
        return load_file(path) if path.suffix == SUFFIXES[0] else _tensors(_unpacked(path), path)
    except TaskmarkError:
        raise
    except Exception as error:
        told = " ".join(str(error).split())[:120]
        raise TaskmarkError(f"The file of weights {path} is damaged ({told}); get it anew.") from (
            error
        )


def _unpacked(path: Path) -> object:
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


def _holds_more_than_tensors(told: str) -> bool:
    return any(sign in told for sign in ("Weights only load failed", "TorchScript"))


def _tensors(content: object, path: Path) -> dict[str, Tensor]:
    wrapped: Any = content
    for wrapper in _WRAPPERS:
        if isinstance(wrapped, Mapping) and isinstance(wrapped.get(wrapper), Mapping):
            wrapped = wrapped[wrapper]
    if not isinstance(wrapped, Mapping) or not any(
        isinstance(value, Tensor) for value in wrapped.values()
    ):
        raise TaskmarkError(f"{path} holds no tensors by name; bring a state dict.")
    return {str(name): value for name, value in wrapped.items() if isinstance(value, Tensor)}
