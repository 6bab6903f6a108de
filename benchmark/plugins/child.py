"""What runs in the process of a plug-in: load it, describe it or let it edit, and send the result.

Nothing that this process says is believed: whatever must be true is checked at the other end.
"""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from taskmark import errors
from taskmark.contract.given import Given
from taskmark.contract.head import Head
from taskmark.contract.weights import Part, WeightSpace
from taskmark.errors import DataRefusedError, TaskmarkError, sentence
from taskmark.plugins.registry import Found, build, from_file, from_packages
from taskmark.plugins.wire import Message, receive_mapped, send
from taskmark.stages.editing import apply

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from taskmark.contract.edit import Edit
    from taskmark.contract.given import PermittedSplit

_ARTIFACT = re.compile(r"[0-9a-f]{64}\.(json|safetensors)")  # how the store names its files
# How images are named that lie outside of the store, wherever that is.
_DECODED = re.compile(r".*-[0-9a-f]{12}-\d+/(train|validation|test)(_labels)?\.npy")


def serve(line: socket.socket) -> None:
    """Carry one order out: "describe" methods, "check" hyper-parameters, "conform" or "edit"."""
    asking = _Asking(line)
    order = receive_mapped(line)
    facts = order.facts
    sys.path[:] = facts["python_path"]
    torch.set_num_threads(facts["threads"])
    _watch(asking, facts["refused_modules"], facts["refused_paths"])
    try:
        answer, tensors = _ANSWERS[facts["do"]](asking, order)
    except BaseException as error:  # noqa: BLE001 - whatever a plug-in does, its row says so
        asking.tell({"op": "failed", "sentence": sentence(error, facts["file"])})
    else:
        asking.tell(answer, tensors)


class _Asking:
    """This process's end of the line."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._turn = threading.RLock()
        self._released: list[int] = []

    def tell(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor] | None = None) -> None:
        """Send what needs no answer."""
        with self._turn:
            send(self._line, facts, tensors or {})

    def ask(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor] | None = None) -> Message:
        """Send a question and wait for its answer; an error at the other end is raised here."""
        with self._turn:
            released, self._released = self._released, []
            send(self._line, {**facts, "released": released}, tensors or {})
            answer = receive_mapped(self._line)
        if "error" in answer.facts:
            kind = getattr(errors, answer.facts["kind"], RuntimeError)
            raise kind(answer.facts["error"])
        return answer

    def release(self, handle: int) -> None:
        """Say with the next question that a graph is not needed any more."""
        self._released.append(handle)


class _PermittedData:
    """Train and validation data, asked for when the method asks."""

    def __init__(self, asking: _Asking) -> None:
        self._asking = asking
        self._kept: dict[tuple[str, str, str], Tensor] = {}

    def inputs(self, task: str, split: PermittedSplit) -> Tensor:
        """Inputs of the encoder, [N, ...]."""
        return self._of("images", task, split)

    def labels(self, task: str, split: PermittedSplit) -> Tensor:
        """Class indices, [N], int64."""
        return self._of("labels", task, split)

    def _of(self, what: str, task: str, split: str) -> Tensor:
        place = what, task, split
        if place not in self._kept:
            answer = self._asking.ask({"op": what, "task": task, "split": split})
            self._kept[place] = answer.tensors[what]
        return self._kept[place]


class _Handle:
    """Stands for a graph at the other end, as long as autograd here refers to it."""

    def __init__(self, asking: _Asking, number: int) -> None:
        self.number = number
        weakref.finalize(self, asking.release, number).atexit = False


class _Features(torch.autograd.Function):
    """The encoder at the other end: features forward, and their gradient once, backward."""

    @staticmethod
    def forward(ctx: Any, vector: Tensor, inputs: Tensor, asking: _Asking) -> Tensor:
        """Features [B, D] of a task vector [P] and a batch."""
        question = {
            "op": "features",
            "vector_gradient": ctx.needs_input_grad[0],
            "inputs_gradient": ctx.needs_input_grad[1],
        }
        answer = asking.ask(question, {"vector": vector, "inputs": inputs})
        ctx.asking, ctx.handle = asking, _Handle(asking, answer.facts["handle"])
        ctx.devices = vector.device, inputs.device
        return answer.tensors["features"].to(vector.device)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of what was asked for, in the order of `forward`."""
        question = {"op": "backward", "handle": ctx.handle.number}
        found = ctx.asking.ask(question, {"gradient": gradient}).tensors
        return (
            *(
                found[name].to(device) if name in found else None
                for name, device in zip(("vector", "inputs"), ctx.devices, strict=True)
            ),
            None,
        )


def _describe(_asking: _Asking, order: Message) -> tuple[dict[str, Any], dict[str, Tensor]]:
    return {"op": "described", "methods": [_facts(found) for found in _found(order)]}, {}


def _check(_asking: _Asking, order: Message) -> tuple[dict[str, Any], dict[str, Tensor]]:
    method = build(_chosen(order).method, order.facts["hyperparameters"])
    return {"op": "checked", "hyperparameters": method.hyperparameters()}, {}


def _edit(asking: _Asking, order: Message) -> tuple[dict[str, Any], dict[str, Tensor]]:
    facts = order.facts
    method = build(_chosen(order).method, facts["hyperparameters"])
    edit, _ = apply(method, _given(asking, order))
    return {
        "op": "edited",
        "heads": {task: head.normalise for task, head in edit.heads.items()},
        "per_task": list(edit.per_task),
        "masks": {task: mask.factor for task, mask in edit.masks.items()},
    }, _tensors_of(edit)


def _conform(asking: _Asking, order: Message) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from taskmark.conformance import findings  # noqa: PLC0415 - a run has no use for it

    for finding in findings(_chosen(order).method, large=order.facts["large"]):
        asking.tell({"op": "finding", **dataclasses.asdict(finding)})
    return {"op": "conformed"}, {}


_ANSWERS = {"describe": _describe, "check": _check, "edit": _edit, "conform": _conform}


def _given(asking: _Asking, order: Message) -> Given:
    facts, tensors = order.facts, order.tensors

    def features(vector: Tensor, inputs: Tensor) -> Tensor:
        if torch.is_grad_enabled() and (vector.requires_grad or inputs.requires_grad):
            found: Tensor = _Features.apply(vector, inputs, asking)
            return found
        question = {"op": "features", "vector_gradient": False, "inputs_gradient": False}
        answer = asking.ask(question, {"vector": vector, "inputs": inputs})
        return answer.tensors["features"].to(vector.device)

    def gram_matrices(
        vector: Tensor, inputs: Tensor, parts: Sequence[str] | None
    ) -> dict[str, Tensor]:
        question = {"op": "gram_matrices", "parts": None if parts is None else list(parts)}
        answer = asking.ask(question, {"vector": vector, "inputs": inputs})
        return {name: gram.to(vector.device) for name, gram in answer.tensors.items()}

    return Given(
        pretrained=tensors["pretrained"],
        task_vectors=tensors["task_vectors"],
        space=WeightSpace(
            tuple(
                Part(name, start, tuple(shape), heads)
                for name, start, shape, heads in facts["space"]
            )
        ),
        tasks=facts["tasks"],
        recipe=facts["recipe"],
        track=facts["track"],
        seed=facts["seed"],
        heads={
            task: Head(tensors[f"weight/{task}"], tensors[f"bias/{task}"], normalise)
            for task, normalise in facts["heads"].items()
        },
        features=features,
        gram_matrices=gram_matrices,
        data=_PermittedData(asking),
        gradient_budget=facts["gradient_budget"],
    )


def _tensors_of(edit: Edit) -> dict[str, Tensor]:
    tensors = {"vector": edit.vector}
    tensors |= {f"per_task/{task}": vector for task, vector in edit.per_task.items()}
    tensors |= {f"mask/{task}": mask.kept for task, mask in edit.masks.items()}
    for task, head in edit.heads.items():
        tensors |= {f"weight/{task}": head.weight, f"bias/{task}": head.bias}
    return tensors


def _found(order: Message) -> list[Found]:
    file = order.facts["file"]
    return list(from_packages() if file is None else from_file(Path(file)))


def _chosen(order: Message) -> Found:
    name = order.facts["name"]
    for found in _found(order):
        if found.method.name == name:
            return found
    raise TaskmarkError(f"The plug-in has no method {name!r} any more; run again.")


def _facts(found: Found) -> dict[str, Any]:
    method = found.method
    return {
        "name": method.name,
        "summary": method.summary(),
        "paper": method.paper,
        "bibtex": method.bibtex,
        "track": method.track,
        "recipe": method.recipe,
        "role": method.role,
        "scale_range": method.scale_range,
        "order_matters": method.order_matters,
        "n_tasks": method.n_tasks,
        "fields": [field.model_dump() for field in found.hyperparameters()],
        "source": str(found.source),
        "distribution": found.distribution,
        "files": [str(file) for file in found.code()],
    }


def _watch(asking: _Asking, modules: Sequence[str], paths: Sequence[str]) -> None:
    """From now on, refuse to import the suite's data or to open files of the store, and tell.

    It sees what Python itself imports and opens, not what compiled code opens.
    """

    def refuse(what: str) -> None:
        asking.tell({"op": "touched", "what": what})
        raise DataRefusedError(f"A method may not touch what holds test data: it {what}.")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "import":
            name = str(arguments[0])
            if any(name == module or name.startswith(f"{module}.") for module in modules):
                refuse(f"imported {name}")
        elif event == "open" and isinstance(arguments[0], (str, bytes)):
            name = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100 - no objects in a hook
            path = os.path.realpath(name)
            if _ARTIFACT.fullmatch(os.path.basename(path)):  # noqa: PTH119 - likewise
                refuse("opened a file of the store")
            if _DECODED.fullmatch(path) or any(
                found == refused or found.startswith(f"{refused}{os.sep}")
                for refused in paths
                for found in (name, path)
            ):
                refuse("opened the suite's own files")

    sys.addaudithook(hook)
