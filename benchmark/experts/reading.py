"""One expert that somebody else tuned: its task vector, from its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from taskmark.errors import TaskmarkError
from taskmark.experts.files import remainder_of
from taskmark.experts.foreign import hash_of
from taskmark.machine.costs import measure
from taskmark.store.recording import note
from taskmark.suites.weight_files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from taskmark.context import Context
    from taskmark.contract.weights import WeightSpace


def make_foreign_expert(
    context: Context,
    key: str,
    *,
    backbone: str,
    seed: int,
    task: str,
    sha256: str,
    remainder: str | None,
) -> None:
    """Read one expert and keep its task vector, theta - theta0.

    The difference is taken in float32, as tuning does. Where a remainder is given it is added.

    Raises:
        TaskmarkError: if the file is not an expert of the backbone, or changed since it was hashed.
    """
    if context.experts is None:
        raise TaskmarkError("There are no experts to read; give their folder with --experts.")
    path = context.experts.folders[backbone, seed].files[task].path
    weights = context.suite.backbones[backbone].weights
    setting = context.setting(context.encoder(backbone))
    with measure() as spent:
        tensors = context.provider.expert_weights(weights, path)
        dtypes = _other_dtypes(tensors)
        vector = _read(path, tensors, setting.space)
        del tensors  # a remainder may be as large
        vector -= setting.pretrained
        if remainder is not None:
            rest = remainder_of(path)
            vector += _read(rest, read_tensors(rest), setting.space)
            _check_unchanged(rest, remainder)
        _check_unchanged(path, sha256)
    if dtypes:
        note(f"The expert of {task} is stored as {', '.join(dtypes)} and was read as float32.")
    facts = {"losses": [], "seconds": spent.seconds, "cpu_seconds": spent.cpu_seconds}
    context.store.put("experts", key, {"vector": vector}, facts)


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
