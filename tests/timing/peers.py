"""Merge with another library, run by an interpreter that has it; it knows nothing of taskmark.

    python peers.py mergekit|fusion_bench task_arithmetic|ties MODELS.safetensors OUT.safetensors N

MODELS holds theta0, "pretrained" [P], and the experts' weights, "experts" [T, P]; its metadata
"shapes" say how a vector is cut into tensors, name -> shape as JSON. The library gets what it is
made for, a state dict or a module for each model, and its call is timed N times after one that does
not count. OUT gets "merged" [P], theta0 plus the merged task vector; the last line that is printed
is JSON of the seconds, {"cpu": [N], "wall": [N]}.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    State = Mapping[str, Tensor]
    Merge = Callable[[State, list[State]], Callable[[], State]]

DENSITY = 0.2


def mergekit(method: str) -> Merge:
    """Trims TIES tensor by tensor and averages what agrees."""
    from mergekit.merge_methods.api import merge_state_dicts  # noqa: PLC0415

    parameters = {"weight": 1.0, **({"density": DENSITY} if method == "ties" else {})}

    def prepare(pretrained: State, experts: list[State]) -> Callable[[], State]:
        models = {"base": pretrained, **{f"expert_{t}": e for t, e in enumerate(experts)}}

        def merge() -> State:
            return merge_state_dicts(models, method, parameters=parameters, base="base")

        return merge

    return prepare


def fusion_bench(method: str) -> Merge:
    """Trims TIES over the whole vector; asked for the mean, it averages what agrees."""
    from fusion_bench.method.task_arithmetic.task_arithmetic import (  # noqa: PLC0415
        TaskArithmeticAlgorithm,
    )
    from fusion_bench.method.ties_merging.ties_merging import TiesMergingAlgorithm  # noqa: PLC0415

    algorithm = (
        TiesMergingAlgorithm(
            scaling_factor=1.0, threshold=DENSITY, remove_keys=[], merge_func="mean"
        )
        if method == "ties"
        else TaskArithmeticAlgorithm(scaling_factor=1.0)
    )

    def prepare(pretrained: State, experts: list[State]) -> Callable[[], State]:
        # It writes the result into the pre-trained model, which is why it gets a copy.
        models = {"_pretrained_": Model({name: t.clone() for name, t in pretrained.items()})}
        models |= {f"expert_{t}": Model(expert) for t, expert in enumerate(experts)}

        def merge() -> State:
            return algorithm.run(models).state_dict()

        return merge

    return prepare


class Model(nn.Module):
    """A module whose state dict is the given one; dots become bars, which names may hold."""

    def __init__(self, state: State) -> None:
        super().__init__()
        for name, tensor in state.items():
            self.register_parameter(name.replace(".", "|"), nn.Parameter(tensor))


def cut(vector: Tensor, shapes: Mapping[str, list[int]]) -> State:
    parts = torch.split(vector, [math.prod(shape) for shape in shapes.values()])
    return OrderedDict(
        (name, part.view(shape)) for (name, shape), part in zip(shapes.items(), parts, strict=True)
    )


def main(peer: str, method: str, source: str, target: str, rounds: str) -> None:
    """Load, merge, save, print."""
    torch.set_num_threads(1)
    with safe_open(source, "pt") as file:
        shapes = json.loads(file.metadata()["shapes"])
        pretrained = cut(file.get_tensor("pretrained"), shapes)
        experts = [cut(row, shapes) for row in file.get_tensor("experts")]
    prepare = {"mergekit": mergekit, "fusion_bench": fusion_bench}[peer](method)
    seconds: dict[str, list[float]] = {"cpu": [], "wall": []}
    for number in range(1 + int(rounds)):
        merge = prepare(pretrained, experts)
        wall, cpu = time.perf_counter(), time.process_time()
        with torch.no_grad():
            merged = merge()
        if number:
            seconds["cpu"].append(time.process_time() - cpu)
            seconds["wall"].append(time.perf_counter() - wall)
    by_name = {name.replace("|", "."): tensor.detach() for name, tensor in merged.items()}
    save_file({"merged": torch.cat([by_name[name].flatten() for name in shapes])}, target)
    print(json.dumps(seconds))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
