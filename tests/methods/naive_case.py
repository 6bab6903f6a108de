"""A conformance vector with data, as its file says it, in float64: its network, its losses."""

from __future__ import annotations

from typing import Any

import torch
from naive_formulas import adamw
from torch import Tensor

LEARNED_ON, HELD_OUT = slice(0, 4), slice(4, 5)  # of five images, the one with index 4
ACTIVATIONS = {None: lambda x: x, "tanh": torch.tanh, "relu": torch.relu}


def tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


class Case:
    """What the fields of a file stand for.

    Attributes:
        tasks: "task_1" .. "task_T".
        vectors: task -> its task vector, [P].
        pretrained: theta0, [P].
        places: name of a tensor -> its slice of a vector and its shape.
        fields: the hyper-parameters that the file names.
    """

    def __init__(self, case: dict[str, Any]) -> None:
        self.fields = case["hyperparameters"]
        self.tasks = [f"task_{i}" for i in range(1, len(case["task_vectors"]) + 1)]
        rows = [tensor(row) for row in case["task_vectors"]]
        self.vectors = dict(zip(self.tasks, rows, strict=True))
        size = len(rows[0])
        self.pretrained = tensor(case.get("pretrained", torch.linspace(-1, 1, size).tolist()))
        self.places: dict[str, tuple[slice, list[int]]] = {}
        start = 0
        for name, shape in case["shapes"].items():
            stop = start + torch.Size(shape).numel()
            self.places[name] = slice(start, stop), shape
            start = stop
        self.layers = case["network"]
        self._heads = case.get("heads", {})
        self._data = case["data"]

    def inputs(self, task: str, split: str) -> Tensor:
        return tensor(self._data[task][split]["inputs"])

    def labels(self, task: str, split: str) -> Tensor:
        return torch.tensor(self._data[task][split]["labels"])

    def reached(self, vector: Tensor, inputs: Tensor) -> dict[str, Tensor]:
        """What reaches each layer of theta0 + vector, by its weight, and the features as ""."""
        weights, x, found = self.pretrained + vector, inputs, {}
        for layer in self.layers:
            found[layer["weight"]] = x
            entries, shape = self.places[layer["weight"]]
            x = x @ weights[entries].view(shape).T
            if "bias" in layer:
                x = x + weights[self.places[layer["bias"]][0]]
            x = ACTIVATIONS[layer.get("activation")](x)
        return found | {"": x}

    def logits(self, vector: Tensor, task: str, inputs: Tensor) -> Tensor:
        head = self._heads[task]
        return self.reached(vector, inputs)[""] @ tensor(head["weight"]).T + tensor(head["bias"])

    def loss(
        self, vector: Tensor, rows: slice, *, labelled: bool, tasks: list[str] | None = None
    ) -> Tensor:
        """The sum over tasks of the mean cross-entropy, or entropy, on validation images."""
        total = tensor(0.0)
        for task in tasks or self.tasks:
            log_p = self.logits(vector, task, self.inputs(task, "validation")[rows]).log_softmax(-1)
            if labelled:
                labels = self.labels(task, "validation")[rows]
                total = total - log_p[torch.arange(len(labels)), labels].mean()
            else:
                total = total - (log_p.exp() * log_p).sum(-1).mean()
        return total

    def combined(self, c: Tensor, directions: list[Tensor], granularity: str) -> Tensor:
        """sum_k c[k, i] d_k in tensor i, or with one coefficient a direction, [P]."""
        if granularity == "scalar":
            return sum((c[k, 0] * d for k, d in enumerate(directions)), tensor(0.0))
        pieces = [
            sum((c[k, i] * d[entries] for k, d in enumerate(directions)), tensor(0.0))
            for i, (entries, _) in enumerate(self.places.values())
        ]
        return torch.cat(pieces)

    def coefficients(self, n_directions: int, granularity: str, value: float) -> Tensor:
        """All equal, [K, G]."""
        n_groups = 1 if granularity == "scalar" else len(self.places)
        return torch.full((n_directions, n_groups), value, dtype=torch.float64)


def steps(start: Tensor, loss: Any, n_steps: int, *, rate: float, decay: float) -> list[Tensor]:
    """Where AdamW is after each step on all images, from the gradients of the whole graph."""
    found, gradients, c = [], [], start
    for _ in range(n_steps):
        leaf = c.clone().requires_grad_()
        gradients.append(torch.autograd.grad(loss(leaf), leaf)[0].flatten().tolist())
        moved = [
            adamw(value, history, learning_rate=rate, weight_decay=decay)
            for value, history in zip(
                start.flatten().tolist(), zip(*gradients, strict=True), strict=True
            )
        ]
        c = tensor(moved).view(start.shape)
        found.append(c)
    return found
