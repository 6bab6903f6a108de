"""One expert that somebody else tuned: its task vector, from its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from taskmark.contract.weights import WeightSpace
from taskmark.errors import TaskmarkError
from taskmark.experts.files import remainder_of
from taskmark.experts.foreign import hash_of
from taskmark.store.recording import note
from taskmark.suites.weight_files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from taskmark.stages.model import Model


def read_expert(
    model: Model, path: Path, *, task: str, sha256: str, remainder: str | None
) -> Tensor:
    """Read one expert, and return its task vector theta - theta0, [P].

    The difference is taken in float32, as tuning does. Where a remainder is given it is added.

    Args:
        model: the pre-trained model that the expert was tuned from.
        path: the file of weights.
        task: its task.
        sha256: of the file.
        remainder: the hash of the file beside it with what float32 weights leave out, if any.

    Raises:
        TaskmarkError: if the file is not an expert of the model, or changed since it was hashed.
    """
    encoder = model.encoder()
    space = WeightSpace.of(encoder)
    tensors = model.source.expert_weights(model.weights, path)
    dtypes = _other_dtypes(tensors)
    vector = _read(path, tensors, space)
    del tensors  # a remainder may be as large
    vector -= space.flatten(dict(encoder.named_parameters()))
    if remainder is not None:
        rest = remainder_of(path)
        vector += _read(rest, read_tensors(rest), space)
        _check_unchanged(rest, remainder)
    _check_unchanged(path, sha256)
    if dtypes:
        note(f"The expert of {task} is stored as {', '.join(dtypes)} and was read as float32.")
    return vector


def _read(path: Path, tensors: Mapping[str, Tensor], space: WeightSpace) -> Tensor:
    """Named tensors as one vector [P], float32, all finite."""
    try:
        vector = space.flatten(tensors)
    except TaskmarkError as error:
        raise TaskmarkError(
            f"The file {str(path)!r} is of another architecture than the backbone: {error}"
        ) from error
    for part in space:
        if not torch.isfinite(vector[part.slice]).all():
            raise TaskmarkError(
                f"The tensor {part.name!r} in {str(path)!r} has numbers that are not finite; the "
                "expert diverged or its file is damaged, bring another."
            )
    return vector


def _other_dtypes(tensors: Mapping[str, Tensor]) -> list[str]:
    kinds = {tensor.dtype for tensor in tensors.values()}
    return sorted(str(kind).removeprefix("torch.") for kind in kinds - {torch.float32})


def _check_unchanged(path: Path, sha256: str) -> None:
    if hash_of(path) != sha256:
        raise TaskmarkError(
            f"The file {str(path)!r} changed since the run began; run again once it is whole."
        )
