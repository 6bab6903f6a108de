"""A quick look at a backbone: `python -m taskmark.suites.mini.pretraining.probe image_text`.

Linear probe, zero-shot and one quick expert a task, all on validation images: for whoever designs
tasks or pre-training. The benchmark's own numbers come from `taskmark run`, never from here.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Annotated

import torch
import typer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from taskmark.console import PlainConsole
from taskmark.suites.mini.architecture import load
from taskmark.suites.mini.tasks import TASKS
from taskmark.suites.mini.tasks import load as load_task
from taskmark.suites.mini.text_tower import embed_prompts, logit_scale

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmark.suites.mini.architecture import Encoder
    from taskmark.suites.task_data import Split, TaskData

    Head = Callable[[Tensor], Tensor]  # features [B, D] -> logits [B, C]

BATCH = 32


def main(
    backbone: str,
    *,
    tasks: Annotated[str, typer.Option(help="Task names, with commas between.")] = ",".join(TASKS),
    epochs: Annotated[int, typer.Option(help="Of the quick expert; 0 leaves it out.")] = 8,
) -> None:
    """Print one row a task."""
    torch.set_num_threads(1)
    console = PlainConsole()
    stem, encoder = load(backbone)
    for name in tasks.split(","):
        data = load_task(name)
        tokens, labels = zip(
            *(tokens_of(stem, s) for s in (data.train, data.validation)), strict=True
        )
        features = [in_batches(encoder, t) for t in tokens]
        heads = {"probe": probed_head(features[0], labels[0], n_classes=len(data.classes))}
        if backbone == "image_text":
            heads["zero-shot"] = zero_shot_head(backbone, data)
        row = f"{name:12} classes {len(data.classes):2}"
        for kind, head in heads.items():
            row += f"  {kind} {accuracy(head, features[1], labels[1]):.3f}"
            if epochs:
                expert = tune(encoder, head, tokens[0], labels[0], epochs=epochs)
                tuned_features = in_batches(expert, tokens[1])
                row += f" (expert {accuracy(head, tuned_features, labels[1]):.3f})"
        console.say(row)


def tokens_of(stem: nn.Module, split: Split) -> tuple[Tensor, Tensor]:
    """The stem's tokens [N, 16, 128] and the labels [N] of a split."""
    images = torch.from_numpy(split.images).permute(0, 3, 1, 2)
    return in_batches(stem, images), torch.from_numpy(split.labels)


@torch.no_grad()
def in_batches(module: nn.Module, inputs: Tensor) -> Tensor:
    """A module's outputs, 250 rows at a time."""
    return torch.cat([module(rows) for rows in torch.split(inputs, 250)])


def accuracy(head: Head, features: Tensor, labels: Tensor) -> float:
    """Share of rows whose highest logit is at the label."""
    return float((head(features).argmax(1) == labels).float().mean())


def probed_head(features: Tensor, labels: Tensor, *, n_classes: int, decay: float = 1e-3) -> Head:
    """A logistic regression on standardised features."""
    middle, spread = features.mean(0), features.std(0) + 1e-6
    inputs = (features - middle) / spread
    weight = torch.zeros(n_classes, features.shape[1], requires_grad=True)
    bias = torch.zeros(n_classes, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = cross_entropy(inputs @ weight.T + bias, labels) + decay * weight.pow(2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    scaled = weight.detach() / spread
    return lambda rows: rows @ scaled.T + (bias.detach() - scaled @ middle)


def zero_shot_head(backbone: str, data: TaskData) -> Head:
    """Cosine similarities with the mean text embedding of each class, times the learnt factor."""
    prompts = [template.format(name) for name in data.classes for template in data.templates]
    rows = embed_prompts(backbone, prompts).view(len(data.classes), len(data.templates), -1)
    text = normalize(rows.mean(1), dim=-1)
    scale = math.exp(logit_scale(backbone))
    return lambda features: scale * normalize(features, dim=-1) @ text.T


def tune(encoder: Encoder, head: Head, tokens: Tensor, labels: Tensor, *, epochs: int) -> Encoder:
    """A copy of the encoder tuned under a frozen head: AdamW, highest rate 1e-3, cosine."""
    expert = copy.deepcopy(encoder).train()
    optimiser = torch.optim.AdamW(expert.parameters(), weight_decay=0.01)
    generator = torch.Generator().manual_seed(0)
    n_steps = epochs * (len(labels) // BATCH)
    step = 0
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(labels), generator=generator), BATCH):
            if len(rows) < BATCH:
                continue
            warm = min(1.0, (step + 1) / 30)
            rate = 1e-3 * warm * 0.5 * (1 + math.cos(math.pi * step / n_steps))
            for group in optimiser.param_groups:
                group["lr"] = rate
            loss = cross_entropy(head(expert(tokens[rows])), labels[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(expert.parameters(), 1.0)
            optimiser.step()
            step += 1
    return expert.eval()


if __name__ == "__main__":
    typer.run(main)
