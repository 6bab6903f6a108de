"""Merge with another library, run by an interpreter that has it; it knows nothing of taskmark.

    python library.py MODELS.safetensors OUT.safetensors CASES.json

MODELS holds theta0, "pretrained" [P], and the experts' weights, "experts" [T, P]; its metadata
"shapes" say how a vector is cut into tensors. CASES is a list of {"method", "parameters"}: for
mergekit the name of a method, for FusionBench "module:class" below `fusion_bench.method`. OUT gets
the merged weights [P] of each case by its place in the list; the last line printed is
JSON of what failed, place -> reason.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

sys.path.append(str(Path(__file__).parents[1] / "timing"))

from peers import Model, cut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    State = Mapping[str, Tensor]

TWO = {"slerp", "slerp.slerp:SlerpMergeAlgorithm"}  # what merges the first two experts alone
WITHOUT_BASE = {"linear", "karcher"}


def mergekit(
    method: str, parameters: Mapping[str, Any], pretrained: State, experts: Sequence[State]
) -> State:
    """The merged state dict."""
    from mergekit.merge_methods.api import merge_state_dicts  # noqa: PLC0415

    models = {f"expert_{number}": expert for number, expert in enumerate(experts)}
    base = None
    if method in TWO:
        base, models = "expert_0", {name: models[name] for name in ("expert_0", "expert_1")}
    elif method not in WITHOUT_BASE:
        base, models = "base", {"base": pretrained, **models}
    return merge_state_dicts(models, method, parameters=parameters, base=base)


def fusion_bench(
    method: str, parameters: Mapping[str, Any], pretrained: State, experts: Sequence[State]
) -> State:
    """The merged state dict. The models are copies, because they are written to."""
    from fusion_bench import BaseModelPool  # noqa: PLC0415

    module, name = method.split(":")
    algorithm = getattr(import_module(f"fusion_bench.method.{module}"), name)(**parameters)
    models = {
        f"expert_{t}": _copied(e) for t, e in enumerate(experts[: 2 if method in TWO else None])
    }
    if method not in TWO:
        models = {"_pretrained_": _copied(pretrained), **models}
    merged = algorithm.run(BaseModelPool(models)).state_dict()
    return {name.replace("|", "."): tensor.detach() for name, tensor in merged.items()}


def _copied(state: State) -> Model:
    return Model({name: tensor.clone() for name, tensor in state.items()})


def main(source: str, target: str, cases: str) -> None:
    """Load, merge by each case, save, print what failed."""
    torch.set_num_threads(1)
    with safe_open(source, "pt") as file:
        shapes = json.loads(file.metadata()["shapes"])
        pretrained = cut(file.get_tensor("pretrained"), shapes)
        experts = [cut(row, shapes) for row in file.get_tensor("experts")]
    found, failed = {}, {}
    for place, case in enumerate(json.loads(Path(cases).read_text("utf-8"))):
        merge = fusion_bench if ":" in case["method"] else mergekit
        torch.manual_seed(0)
        try:
            state = merge(case["method"], case["parameters"], pretrained, experts)
        except Exception as error:  # noqa: BLE001 - whatever a library raises is a result here
            failed[place] = f"{type(error).__name__}: {error}".splitlines()[0]
        else:
            found[str(place)] = torch.cat([state[name].float().flatten() for name in shapes])
    save_file(found, target)
    print(f"\n{json.dumps(failed)}")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
