"""One expert that somebody else tuned: its task vector, from its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.contract.foreign_weights import check_finite, is_running, unit_roundoff, weights_of
from taskmark.contract.weights import WeightSpace
from taskmark.errors import TaskmarkError
from taskmark.experts.expert_files import remainder_of
from taskmark.experts.foreign import hash_of
from taskmark.store.recording import note
from taskmark.suites.weight_files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch
    from torch import Tensor, nn

    from taskmark.stages.model import Model


def read_expert(
    model: Model,
    path: Path,
    *,
    task: str,
    sha256: str,
    remainder: str | None,
    ignore: Sequence[str] = (),
) -> tuple[Tensor, float]:
    """Read one expert: its task vector theta - theta0, [P], and how precise its file is.

    The difference is taken in float32, as tuning does. Where a remainder is given it is added.

    Args:
        model: the pre-trained model that the expert was tuned from.
        path: the file of weights, or the index of several.
        task: its task.
        sha256: of the file.
        remainder: the hash of the file beside it with what float32 weights leave out, if any.
        ignore: patterns of the names of tensors that it may have besides and that are not read.

    Returns:
        The vector, float32, and the largest unit roundoff of the numbers in the file, float32's
        at least.

    Raises:
        TaskmarkError: if the file is not an expert of the model, or changed since it was hashed.
    """
    encoder = model.encoder()
    tensors = model.source.expert_weights(model.weights, path, ignore=ignore)
    running = [name for name in tensors if is_running(name)]
    vector, dtypes = _read(path, tensors, encoder, ignore)
    precision = unit_roundoff(dtypes)
    others = sorted(str(kind).removeprefix("torch.") for kind in dtypes - {vector.dtype})
    del tensors  # a remainder may be as large
    vector -= WeightSpace.of(encoder).flatten(dict(encoder.named_parameters()))
    if remainder is not None:
        rest = remainder_of(path)
        vector += _read(rest, read_tensors(rest), encoder)[0]
        _check_unchanged(rest, remainder)
    _check_unchanged(path, sha256)
    if others:
        note(f"The expert of {task} is stored as {', '.join(others)} and was read as float32.")
    if running:
        more = f" and {len(running) - 1} more" if len(running) > 1 else ""
        note(f"{running[0]}{more} of the expert of {task} are no weights and were not read.")
    if ignore:
        note(f"Tensors called {', '.join(ignore)} were not read of the expert of {task}.")
    return vector, precision


def _read(
    path: Path, tensors: Mapping[str, Tensor], encoder: nn.Module, ignore: Sequence[str] = ()
) -> tuple[Tensor, set[torch.dtype]]:
    """Named tensors as one vector [P], float32, all finite, and in which dtypes they were."""
    space, what = WeightSpace.of(encoder), f"the file {str(path)!r}"
    own = space.fit(tensors, what=what, kept=weights_of(encoder).kept, ignore=ignore)
    vector = space.flatten(own)
    check_finite(space.views(vector), what)
    return vector, {tensor.dtype for tensor in own.values()}


def _check_unchanged(path: Path, sha256: str) -> None:
    if hash_of(path) != sha256:
        raise TaskmarkError(
            f"The file {str(path)!r} changed since the run began; run again once it is whole."
        )
