"""The pre-training loop: blocks of images, AdamW, checkpoints that resume bit for bit."""

from __future__ import annotations

import hashlib
import logging
import math
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save

from taskmark.atomic_files import write_atomically
from taskmark.suites.mini.pretraining.images import block

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from taskmark.suites.mini.pretraining.scheme import Batch, Scheme

BLOCK = 4096
WARM_UP = 225
WEIGHT_DECAY = 0.05
CLIP = 1.0

log = logging.getLogger(__name__)


def train(
    scheme: Scheme,
    checkpoint: Path,
    *,
    every: int = 250,
    stop_after: int | None = None,
    progress: Callable[[int, float], None] = lambda _step, _loss: None,
) -> None:
    """Train a scheme in place, from its checkpoint if there is one.

    A run that was interrupted ends in the same bits as one that was not: images, captions and
    augmentations depend on the step alone, and the optimiser's state is in the checkpoint.

    Args:
        scheme: what to train.
        checkpoint: safetensors file to resume from and to write to.
        every: steps between checkpoints.
        stop_after: the step to stop at, before the schedule's end.
        progress: called with the number of steps done and the loss.
    """
    optimiser = make_optimiser(scheme)
    first = restore(scheme, optimiser, checkpoint)
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    last = scheme.n_steps if stop_after is None else min(stop_after, scheme.n_steps)
    steps_a_block = BLOCK // scheme.batch_size
    images: Tensor | None = None
    batch: Batch = {}
    scheme.train()
    for step in range(first, last):
        number, place = divmod(step, steps_a_block)
        if images is None or place == 0:
            images, batch = _load_block(scheme, number)
        rows = slice(place * scheme.batch_size, (place + 1) * scheme.batch_size)
        for group in optimiser.param_groups:
            group["lr"] = scheme.learning_rate * schedule(
                step, scheme.n_steps, decay_from=scheme.decay_from
            )
        generator = torch.Generator().manual_seed(step)
        loss = scheme.loss(images[rows], {name: v[rows] for name, v in batch.items()}, generator)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimiser.step()
        progress(step + 1, float(loss.detach()))
        if (step + 1) % every == 0 or step + 1 == last:
            keep(scheme, optimiser, checkpoint, step=step + 1)
    scheme.eval()


def schedule(step: int, n_steps: int, *, decay_from: float = 0.0) -> float:
    """Share of the highest learning rate: linear warm-up, level, then a half cosine to nothing.

    Args:
        step: steps done.
        n_steps: steps in all.
        decay_from: the share of all steps after which the cosine starts.
    """
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    start = max(WARM_UP, round(decay_from * n_steps))
    if step < start:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - start) / max(1, n_steps - start)))


def make_optimiser(scheme: Scheme) -> torch.optim.AdamW:
    """AdamW; only matrices and kernels decay."""
    named = [(name, p) for name, p in scheme.named_parameters() if p.requires_grad]
    decayed = [p for name, p in named if p.ndim > 1 and "positions" not in name]
    kept = [p for name, p in named if p.ndim <= 1 or "positions" in name]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": WEIGHT_DECAY},
        {"params": kept},
    ]
    return torch.optim.AdamW(
        groups, lr=scheme.learning_rate, betas=(0.9, 0.98), weight_decay=0.0, foreach=True
    )


def keep(scheme: Scheme, optimiser: torch.optim.AdamW, path: Path, *, step: int) -> None:
    """Write network and optimiser to a checkpoint, whole or not at all."""
    tensors = {f"model.{name}": t.contiguous() for name, t in scheme.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimiser.{index}.{name}"] = torch.as_tensor(value).contiguous()
    write(path, save(tensors, metadata={"step": str(step), "scheme": scheme.name}))


def restore(scheme: Scheme, optimiser: torch.optim.AdamW, path: Path) -> int:
    """Read a checkpoint, if there is one, into network and optimiser.

    Returns:
        The number of steps done.

    Raises:
        ValueError: the checkpoint belongs to another scheme.
    """
    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if metadata["scheme"] != scheme.name:
        raise ValueError(
            f"{path} is a checkpoint of {metadata['scheme']!r}, not of {scheme.name!r}; "
            f"delete it or choose another folder"
        )
    scheme.load_state_dict(
        {n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")}
    )
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    log.info("%s resumes at step %s", scheme.name, metadata["step"])
    return int(metadata["step"])


def write(path: Path, content: bytes) -> str:
    """Write a file whole or not at all, and give its SHA-256."""
    write_atomically(path, content)
    return hashlib.sha256(content).hexdigest()


def _load_block(scheme: Scheme, number: int) -> tuple[Tensor, Batch]:
    """Images uint8 [N, 3, 32, 32] and labels of one block."""
    drawn = block(number, n_images=BLOCK, digits=scheme.digits, seed=scheme.seed, view=scheme.view)
    images = torch.from_numpy(drawn.images).permute(0, 3, 1, 2).contiguous()
    return images, scheme.labels(drawn, number)
