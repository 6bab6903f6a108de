"""The edit of a plug-in, seen from the run: hand out, answer, count, and take the result.

The given of the run stays here. What the plug-in's process holds is a copy of the weights; data
and features it must ask for, so that tracks, budgets and counts are kept where it cannot reach.
Of weights and images that lie in a file of their own, the copy is a private mapping of that file.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import torch
from pydantic import Field, TypeAdapter, ValidationError

from taskmark.contract.edit import Edit, Mask
from taskmark.contract.head import Head
from taskmark.errors import TaskmarkError
from taskmark.machine.costs import Spent, measure
from taskmark.plugins.process import PluginProcess, common_facts
from taskmark.records.record import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from taskmark.contract.given import Given
    from taskmark.store.in_file import InFile

_BATCH_BYTES = 1 << 30  # of one batch, over what an edit can take


class _Question(Frozen):
    # Graphs that the process needs no more.
    released: tuple[int, ...]


class _Data(_Question):
    op: Literal["images", "labels"]
    task: str
    split: str


class _Features(_Question):
    op: Literal["features"]
    vector_gradient: bool
    inputs_gradient: bool


class _GramMatrices(_Question):
    op: Literal["gram_matrices"]
    parts: tuple[str, ...] | None


class _Backward(_Question):
    op: Literal["backward"]
    handle: int


class _Edited(Frozen):
    op: Literal["edited"]
    heads: dict[str, bool]  # the task of each head, and whether it normalises
    per_task: tuple[str, ...]
    masks: dict[str, float]  # the task of each mask, and its factor


_Asked: TypeAlias = _Data | _Features | _GramMatrices | _Backward

_SAID: TypeAdapter[_Asked | _Edited] = TypeAdapter(
    Annotated[_Asked | _Edited, Field(discriminator="op")]
)


def edit_apart(
    who: str,
    order: Mapping[str, object],
    given: Given,
    files: Mapping[str, InFile],
    *,
    track: str,
    seconds: float,
) -> tuple[Edit, Spent]:
    """Let a plug-in edit in a process of its own.

    Args:
        who: whose edit it is, for sentences.
        order: which method of which plug-in, see `taskmark.plugins.isolated_methods`.
        given: answers what the process asks for, and keeps the account of it.
        files: where in files that lies, see `taskmark.stages.editing.give`.
        track: of the method.
        seconds: how long it may take.

    Returns:
        The edit, not yet checked, and what it cost: this process's part and the plug-in's.

    Raises:
        PluginError: if it fails, ends, takes too long, or touches test data.
        TaskmarkError: if a file was changed that something lies in.
    """
    process = PluginProcess(who, seconds=seconds)
    with measure() as spent, process:
        facts, tensors = _handed(given, track)
        process.order({**order, **common_facts(), "do": "edit", **facts}, tensors, files)
        edit = _answered(process, given, files)
    spent.cpu_seconds += process.cpu_seconds
    spent.peak_bytes += process.peak_bytes
    return edit, spent


def _handed(given: Given, track: str) -> tuple[dict[str, object], dict[str, Tensor]]:
    tensors = {"pretrained": given.pretrained, "task_vectors": given.task_vectors}
    for task, head in given.heads.items():
        tensors |= {f"weight/{task}": head.weight, f"bias/{task}": head.bias}
    return {
        "space": [(part.name, part.start, part.shape, part.heads) for part in given.space],
        "tasks": given.tasks,
        "recipe": given.recipe,
        "track": track,
        "seed": given.generator.initial_seed(),
        "heads": {task: head.normalise for task, head in given.heads.items()},
        "gradient_budget": given.gradient_images_left,
    }, tensors


def _answered(process: PluginProcess, given: Given, files: Mapping[str, InFile]) -> Edit:
    """Answer until the edit comes."""
    answers = _Answers(given)
    most_bytes = _BATCH_BYTES + 8 * given.space.size * (len(given.tasks) + 2)
    while True:
        message = process.receive(most_bytes=most_bytes)
        try:
            said = _SAID.validate_python(message.facts)
            if isinstance(said, _Edited):
                return _edit(said, message.tensors)
        except (ValidationError, KeyError) as error:
            raise process.misspoke() from error
        process.order(*answers.to(said, message.tensors), _asked_for(said, files))


def _asked_for(question: _Asked, files: Mapping[str, InFile]) -> dict[str, InFile]:
    """Where in a file the answer lies, if it does."""
    if not isinstance(question, _Data):
        return {}
    place = files.get(f"{question.task}/{question.split}/{question.op}")
    return {} if place is None else {question.op: place}


class _Answers:
    """What is said to each question; the given decides what may be answered."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._numbers = itertools.count()
        self._graphs: dict[int, tuple[Tensor, dict[str, Tensor]]] = {}

    def to(
        self, question: _Asked, tensors: Mapping[str, Tensor]
    ) -> tuple[dict[str, object], dict[str, Tensor]]:
        """The answer; whatever is wrong with the question is raised over there."""
        for handle in question.released:
            self._graphs.pop(handle, None)
        try:
            match question:
                case _Data():
                    return {}, {question.op: self._data(question)}
                case _Features():
                    return self._features(question, tensors)
                case _GramMatrices():
                    return {}, self._given.gram_matrices(
                        tensors["vector"], tensors["inputs"], question.parts
                    )
                case _Backward():
                    return {}, self._gradients(question, tensors)
        except Exception as error:  # noqa: BLE001 - the question is the plug-in's
            kind = type(error).__name__ if isinstance(error, TaskmarkError) else "RuntimeError"
            return {"error": str(error), "kind": kind}, {}

    def _data(self, question: _Data) -> Tensor:
        ask = self._given.images if question.op == "images" else self._given.labels
        return ask(question.task, question.split)  # type: ignore[arg-type]  # it checks the split

    def _features(
        self, question: _Features, tensors: Mapping[str, Tensor]
    ) -> tuple[dict[str, object], dict[str, Tensor]]:
        wanted = {"vector": question.vector_gradient, "inputs": question.inputs_gradient}
        leaves = {name: tensors[name].requires_grad_(wants) for name, wants in wanted.items()}
        with torch.set_grad_enabled(any(wanted.values())):
            features = self._given.features(leaves["vector"], leaves["inputs"])
        handle = next(self._numbers)
        if features.requires_grad:
            kept = {name: leaf for name, leaf in leaves.items() if wanted[name]}
            self._graphs[handle] = features, kept
        return {"handle": handle}, {"features": features}

    def _gradients(self, question: _Backward, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features, leaves = self._graphs[question.handle]
        gradient = tensors["gradient"].to(features.device)
        # The graph goes when the plug-in's own does, which is told by `released`.
        found = torch.autograd.grad(
            features, list(leaves.values()), gradient, retain_graph=True, allow_unused=True
        )
        return {name: grad for name, grad in zip(leaves, found, strict=True) if grad is not None}


def _edit(said: _Edited, tensors: Mapping[str, Tensor]) -> Edit:
    return Edit(
        tensors["vector"],
        heads={
            task: Head(tensors[f"weight/{task}"], tensors[f"bias/{task}"], normalise)
            for task, normalise in said.heads.items()
        },
        per_task={task: tensors[f"per_task/{task}"] for task in said.per_task},
        masks={task: Mask(tensors[f"mask/{task}"], factor) for task, factor in said.masks.items()},
    )
