"""Merge with another library, run by an interpreter that has it; it knows nothing of taskmark.

    python peers.py METHOD PARAMETERS MODELS.safetensors OUT.safetensors N

METHOD is the name of one of mergekit's methods, or FusionBench's "module:class" below
`fusion_bench.method`; PARAMETERS is JSON. MODELS holds theta0, "pretrained" [P], and the experts'
weights, "experts" [T, P]; its metadata "shapes" say how a vector is cut into tensors, name -> shape
as JSON. The library gets what it is made for, a state dict or a module for each model, and its call
is timed N times after one that does not count. OUT gets "merged" [P], theta0 plus the merged task
vector; the last line that is printed is JSON of the seconds, and of the largest rise of the
resident set in a call, {"cpu": [N], "wall": [N], "peak_bytes": ...}.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections import OrderedDict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    State = Mapping[str, Tensor]


def mergekit(
    method: str, parameters: Mapping[str, Any], pretrained: State, experts: list[State]
) -> Callable[[], State]:
    """The call to be timed."""
    from mergekit.merge_methods.api import merge_state_dicts  # noqa: PLC0415

    models = {"base": pretrained, **{f"expert_{t}": e for t, e in enumerate(experts)}}
    return lambda: merge_state_dicts(models, method, parameters=parameters, base="base")


def fusion_bench(
    method: str, parameters: Mapping[str, Any], pretrained: State, experts: list[State]
) -> Callable[[], State]:
    """The call to be timed. It writes to the models that it gets, which is why they are copies."""
    from fusion_bench import BaseModelPool  # noqa: PLC0415

    module, name = method.split(":")
    algorithm = getattr(import_module(f"fusion_bench.method.{module}"), name)(**parameters)
    models = {"_pretrained_": pretrained, **{f"expert_{t}": e for t, e in enumerate(experts)}}
    copied = {
        name: Model({k: t.clone() for k, t in state.items()}) for name, state in models.items()
    }
    return lambda: algorithm.run(BaseModelPool(copied)).state_dict()


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


def main(method: str, parameters: str, source: str, target: str, rounds: str) -> None:
    """Load, merge, save, print."""
    torch.set_num_threads(1)
    with safe_open(source, "pt") as file:
        shapes = json.loads(file.metadata()["shapes"])
        pretrained = cut(file.get_tensor("pretrained"), shapes)
        experts = [cut(row, shapes) for row in file.get_tensor("experts")]
    prepare = fusion_bench if ":" in method else mergekit
    spent: dict[str, list[float]] = {"cpu": [], "wall": [], "peak_bytes": []}
    for number in range(1 + int(rounds)):
        torch.manual_seed(number)
        merge = prepare(method, json.loads(parameters), pretrained, experts)
        before = resident_bytes("VmRSS")
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak starts anew
        wall, cpu = time.perf_counter(), time.process_time()
        with torch.no_grad():
            merged = merge()
        if number:
            spent["cpu"].append(time.process_time() - cpu)
            spent["wall"].append(time.perf_counter() - wall)
            spent["peak_bytes"].append(resident_bytes("VmHWM") - before)
    by_name = {name.replace("|", "."): tensor.detach() for name, tensor in merged.items()}
    save_file({"merged": torch.cat([by_name[name].flatten() for name in shapes])}, target)
    print(f"\n{json.dumps(spent)}")  # noqa: T201


def resident_bytes(which: str) -> int:
    """What Linux says of this process: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{which}:"))


if __name__ == "__main__":
    main(*sys.argv[1:])
