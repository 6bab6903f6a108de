"""Pre-train the backbones: `python -m taskmark.suites.mini_language.pretraining [backbone ...]`.

A run that was interrupted goes on when the command is given again, and ends in the same bits. The
files go to `--folder`; `--freeze` makes them the suite's own.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated, Any

import torch
import typer
from platformdirs import user_cache_path
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import safe_open
from safetensors.torch import save
from torch.nn import functional

from taskmark.atomic_files import write_atomically
from taskmark.console import PlainConsole
from taskmark.suites.mini_language.alphabet import ANSWER_TOKEN, PADDING, padded
from taskmark.suites.mini_language.language_model import WEIGHTS, frozen_hashes, make_llama
from taskmark.suites.mini_language.pretraining.lines import lines
from taskmark.suites.mini_language.pretraining.muon import Muon

FOLDER = user_cache_path("taskmark") / "mini-language-pretraining"
LINES = 128  # of a step
WARM_UP = 100  # steps
ANNEALING = 150  # steps at the end, in which the learning rate falls to nothing
MATRICES, OTHERS = 4e-3, 4e-3  # learning rates of Muon and of AdamW
ON_PROMPTS = 0.15  # the weight of a token of the prompt in the loss; one of the answer has 1
TOGETHER = 32  # lines of a pass
EVERY = 20  # steps between checkpoints


@dataclass(frozen=True, slots=True)
class Course:
    """How a backbone is trained; its learning rate falls to nothing.

    `hard` is the share of items that are as hard as those of the tasks.
    """

    seed: int
    steps: int = 0
    hard: float = 0.0


COURSES = {
    "open": Course(seed=1, steps=640),
    "middle": Course(seed=2, steps=640, hard=0.1),
    "random": Course(seed=3),
}


def main(
    backbones: Annotated[list[str] | None, typer.Argument(help="Which; all if none.")] = None,
    *,
    folder: Annotated[
        Path, typer.Option(help="Where checkpoints and rebuilt weights go.")
    ] = FOLDER,
    steps: Annotated[
        int | None, typer.Option(help="Shorter schedule, for a rehearsal.", min=1)
    ] = None,
    freeze: Annotated[bool, typer.Option(help="Make the results the suite's own weights.")] = False,
) -> None:
    """Train each backbone, then write its weights and show their SHA-256 beside the shipped one."""
    console = PlainConsole()
    torch.set_num_threads(1)
    if unknown := set(backbones or ()) - set(COURSES):
        raise typer.BadParameter(f"no backbone {sorted(unknown)}; choose from {list(COURSES)}")
    for name in [known for known in COURSES if not backbones or known in backbones]:
        course = COURSES[name]
        n_steps = min(course.steps, steps or course.steps)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task(name, total=n_steps, loss=float("nan"))
            model = train(
                course,
                n_steps,
                folder / f"{name}.checkpoint.safetensors",
                lambda done, loss, bar=bar: progress.update(bar, completed=done, loss=loss),  # type: ignore[misc]
            )
        content = save({n: p.detach().contiguous() for n, p in model.named_parameters()})
        digest = hashlib.sha256(content).hexdigest()
        write_atomically(folder / f"{name}.safetensors", content)
        shipped = frozen_hashes().get(name, "none")
        verdict = "the same" if digest == shipped else "different"
        console.say(f"{name}: {folder / f'{name}.safetensors'}")
        console.say(f"  SHA-256 {digest}\n  shipped {shipped} ({verdict})")
        console.say(f"  user CPU seconds of this process so far: {os.times().user:.0f}")
        if freeze:
            write_atomically(WEIGHTS / f"{name}.safetensors", content)
            hashes = frozen_hashes() | {name: digest}
            text = json.dumps(hashes, indent=2) + "\n"
            write_atomically(WEIGHTS / "hashes.json", text.encode())


def train(course: Course, n_steps: int, checkpoint: Path, progress: Any) -> Any:
    """Train a Llama, from its checkpoint if there is one.

    Matrices are stepped by Muon, at the size of AdamW's steps, the rest by AdamW.
    """
    model = make_llama(course.seed).train()
    named = dict(model.named_parameters())
    matrices = [p for name, p in named.items() if p.ndim > 1 and "embed" not in name]
    others = [p for name, p in named.items() if p.ndim <= 1 or "embed" in name]
    optimisers: tuple[tuple[Any, float], ...] = (
        (Muon(matrices, lr=MATRICES), MATRICES),
        (torch.optim.AdamW(others, lr=OTHERS, betas=(0.9, 0.98), weight_decay=0.0), OTHERS),
    )
    for step in range(_restore(model, optimisers, checkpoint), n_steps):
        model.zero_grad()
        loss = learn(model, lines(step, LINES, hard=course.hard))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser, rate in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate * schedule(step, n_steps)
            optimiser.step()
        progress(step + 1, loss)
        if (step + 1) % EVERY == 0 or step + 1 == n_steps:
            _keep(model, optimisers, checkpoint, step + 1)
    return model.eval()


def schedule(step: int, n_steps: int) -> float:
    """Share of the highest learning rate: linear warm-up, level, linear fall to nothing."""
    return min(1.0, (step + 1) / WARM_UP, (n_steps - step) / ANNEALING)


def learn(model: Any, texts: list[str]) -> float:
    """Add the gradient of the weighted mean cross-entropy of the next token, and return that mean.

    Tokens of an answer count 1, tokens of prompts and of broad lines `ON_PROMPTS`. Lines of a like
    length pass together, so that little padding does.
    """
    ordered = sorted(texts, key=len)
    parts = [ordered[at : at + TOGETHER] for at in range(0, len(ordered), TOGETHER)]
    pairs = [summed_losses(model, part) for part in parts]
    total = sum(weight for _, weight in pairs)
    loss = torch.stack([losses for losses, _ in pairs]).sum() / total
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())


def summed_losses(model: Any, texts: list[str]) -> tuple[torch.Tensor, float]:
    """The weighted sum of the tokens' cross-entropies, and that of their weights."""
    tokens = torch.from_numpy(padded(texts, max(map(len, texts))))
    logits = model(input_ids=tokens).logits[:, :-1]
    following = tokens[:, 1:]
    is_answer = (tokens == ANSWER_TOKEN).cumsum(1)[:, :-1].bool()
    weight = torch.where(is_answer, 1.0, ON_PROMPTS) * (following != PADDING)
    losses = functional.cross_entropy(logits.flatten(0, 1), following.flatten(), reduction="none")
    return (losses * weight.flatten()).sum(), float(weight.sum())


def _keep(model: Any, optimisers: Any, path: Path, step: int) -> None:
    tensors = {f"model.{name}": p.detach().contiguous() for name, p in model.named_parameters()}
    for place, (optimiser, _) in enumerate(optimisers):
        for index, state in optimiser.state_dict()["state"].items():
            for name, value in state.items():
                key = f"optimiser.{place}.{index}.{name}"
                tensors[key] = torch.as_tensor(value).contiguous()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, save(tensors, metadata={"step": str(step)}))


def _restore(model: Any, optimisers: Any, path: Path) -> int:
    """Read a checkpoint, if there is one; returns the number of steps done."""
    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as file:
        step = int(file.metadata()["step"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    own = {n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")}
    model.load_state_dict(own, strict=False)
    for place, (optimiser, _) in enumerate(optimisers):
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith(f"optimiser.{place}."):
                _, _, index, key = name.split(".")
                state.setdefault(int(index), {})[key] = tensor
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})
    return step


if __name__ == "__main__":
    typer.run(main)
