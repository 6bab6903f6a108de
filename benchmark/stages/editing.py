"""The edit: run a method on what it is handed, and trust nothing that it leaves behind."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from taskmark.contract.edit import Edit
from taskmark.contract.given import Given
from taskmark.contract.head import read_head
from taskmark.contract.recipe import recipe_named
from taskmark.errors import TaskmarkError
from taskmark.inference.passes import Passes
from taskmark.inference.readers import Setting, reader
from taskmark.machine.costs import Spent, measured
from taskmark.machine.switches import restored
from taskmark.plugins.isolated_methods import StandIn
from taskmark.stages.data import SuiteData
from taskmark.stages.task_vectors import space_of
from taskmark.store.artifacts import Artifact, Store
from taskmark.suite.provider import provider

if TYPE_CHECKING:
    from torch import Tensor, nn

    from taskmark.contract.method import Method

_HASHED_AT_ONCE = 1 << 24  # bytes


@dataclass(frozen=True, slots=True)
class Handout:
    """All that a method is handed, as plain values and keys of the store."""

    store: str
    device: str
    provider: str
    weights: str
    recipe: str
    track: str
    seed: int
    tasks: tuple[str, ...]
    vectors: str
    inputs: dict[str, str]
    heads: dict[str, str]
    batch_size: int
    gradient_budget: int
    rows: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Edited:
    """A checked edit, what it cost, and what the method touched."""

    edit: Edit
    spent: Spent
    touched: dict[str, int]
    gradient_images: int
    forward_images: int
    own_word: bool = False


def give(
    handout: Handout, *, vectors: Artifact | None = None, encoder: nn.Module | None = None
) -> Given:
    store = Store(Path(handout.store))
    vectors = vectors or store.get("task_vectors", handout.vectors)
    pretrained, task_vectors = vectors.tensors["pretrained"], vectors.tensors["task_vectors"]
    if handout.rows is not None:
        task_vectors = task_vectors[list(handout.rows)]
    inputs = {task: store.get("inputs", key) for task, key in handout.inputs.items()}
    heads = {task: store.get("heads", key) for task, key in handout.heads.items()}
    read = None
    if handout.track != "weights":
        encoder = encoder or provider(handout.provider).backbone(handout.weights)[1]
        setting = Setting.of(
            encoder, handout.device, Passes(handout.batch_size), pretrained.clone()
        )
        read = reader(recipe_named(handout.recipe).read, setting)
    return Given(
        pretrained=pretrained.detach(),  # an object of its own, on the same memory
        task_vectors=task_vectors.detach(),
        space=space_of(vectors),
        tasks=handout.tasks,
        recipe=handout.recipe,
        track=handout.track,
        seed=handout.seed,
        heads={task: read_head(own.tensors, own.facts) for task, own in heads.items()},
        features=read.features if read else None,
        gram_matrices=read.gram_matrices if read else None,
        data=SuiteData(inputs, track=handout.track),
        gradient_budget=handout.gradient_budget,
    )


def edit(
    method: Method,
    handout: Handout,
    *,
    vectors: Artifact | None = None,
    encoder: nn.Module | None = None,
) -> Edited:
    given = give(handout, vectors=vectors, encoder=encoder)
    handed, heads = (given.pretrained, given.task_vectors), dict(given.heads)
    if isinstance(method, StandIn):
        made, spent = method.edit_apart(given, {})
        checked = made.checked(given.space.size, heads)
    else:
        # The same memory in objects that the method does not hold, and cannot turn elsewhere.
        own = [tensor.detach() for tensor in handed]
        before = [_hash(tensor) for tensor in own]
        with measured() as spent, restored():
            made = method.edit(given)
        kept = all(mine.is_set_to(theirs) for mine, theirs in zip(own, handed, strict=True))
        if not kept or [_hash(tensor) for tensor in own] != before:
            raise TaskmarkError(
                f"The method {method.name!r} wrote to its inputs; "
                "work on a copy, for example given.task_vectors.clone()."
            )
        if type(made) is not Edit:  # a subclass could bring a check of its own
            raise TaskmarkError(
                f"The method {method.name!r} returned a {type(made).__name__} from edit(); "
                "return a taskmark.Edit, or override merge() alone."
            )
        checked = made.checked(len(own[0]), heads)
    return Edited(checked, spent, given.touched, given.gradient_images, given.forward_images)


def _hash(tensor: Tensor) -> str:
    """SHA-256 of the SHA-256 of each block, worked out in threads."""
    content = tensor.numpy().reshape(-1).view(np.uint8).data

    def of_block(start: int) -> bytes:
        return hashlib.sha256(content[start : start + _HASHED_AT_ONCE]).digest()

    with ThreadPoolExecutor() as threads:
        blocks = threads.map(of_block, range(0, len(content), _HASHED_AT_ONCE))
        return hashlib.sha256(b"".join(blocks)).hexdigest()
