"""The edit stage: hand a method what its track permits, and trust nothing that it leaves."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np
import torch
from pydantic import TypeAdapter

from taskmark.contract.edit import Edit
from taskmark.contract.foreign_weights import FLOAT32_ROUNDOFF
from taskmark.contract.given import Given
from taskmark.contract.head import read_head
from taskmark.contract.recipe import get_recipe
from taskmark.errors import DataRefusedError, TaskmarkError
from taskmark.inference.passes import Passes
from taskmark.inference.readers import Setting, reader
from taskmark.machine.costs import Spent, measure
from taskmark.machine.global_settings import keep_settings
from taskmark.plugins.stand_ins import Limits, StandIn
from taskmark.stages.task_inputs import SuiteData
from taskmark.stages.task_vectors import space_of
from taskmark.store.artifacts import Artifact, Store
from taskmark.store.recording import current_account, note
from taskmark.suite.provider import provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from taskmark.contract.head import Head, TaskHead
    from taskmark.contract.method import Method

_HASHED_AT_ONCE = 1 << 24  # bytes
_ALIGNMENT = 64  # bytes, of a line of the cache
_HEADER_BYTES = 1 << 20  # of a file of tensors, at most


@dataclass(frozen=True, slots=True)
class Handout:
    """All that a method is handed, as plain values and keys of the store.

    Attributes:
        store: the folder of the artifacts.
        device: that models run on.
        provider: the module that makes the suite's backbones.
        weights: what that calls the backbone.
        recipe: how the experts were tuned and how weights are read.
        track: of the method.
        seed: of its generator.
        tasks: their names, in the order of the task vectors.
        vectors: the artifact with theta0 and the task vectors.
        rows: which of the task vectors; all where not said.
        inputs: the artifact with train and validation data of each task; none on `weights`.
        heads: the artifact with the head of each task.
        batch_size: of passes that need no gradient.
        gradient_budget: images that may be passed backward.
    """

    store: str
    device: str
    provider: str
    weights: str
    recipe: str
    track: str
    seed: int
    tasks: tuple[str, ...]
    vectors: str
    rows: tuple[int, ...] | None = None
    inputs: dict[str, str] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    batch_size: int = 1
    gradient_budget: int = 0

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Handout:
        """Read one from JSON values."""
        return TypeAdapter(cls).validate_python(facts)


@dataclass(frozen=True, slots=True)
class Edited:
    """What a method made, and what it took.

    Attributes:
        edit: it, checked.
        spent: what it took.
        touched: see `Given.touched`.
        gradient_images: see `Given`.
        forward_images: see `Given`.
        own_word: whether all of these but the edit are what the process of a plug-in says.
    """

    edit: Edit
    spent: Spent
    touched: dict[str, int]
    gradient_images: int
    forward_images: int
    own_word: bool


def build_given(
    handout: Handout,
    *,
    store: Store | None = None,
    vectors: Artifact | None = None,
    encoder: nn.Module | None = None,
) -> Given:
    """Put together what a method is handed; nothing of test data is opened.

    Args:
        handout: says what.
        store: the one that it names, if it was opened; what that has read is not hashed again.
        vectors: the artifact that it names, if it was read. Its memory is shared with what is
            handed over, so what `run_method` finds unchanged is what the harness goes on with.
        encoder: the backbone's, if it was built; a method on weights needs none.

    Raises:
        TaskmarkError: if an artifact is not there or damaged.
    """
    store = store or Store(Path(handout.store))
    artifact = vectors or store.get("task_vectors", handout.vectors)
    pretrained, task_vectors = artifact.tensors["pretrained"], artifact.tensors["task_vectors"]
    if handout.rows is not None:
        # A copy, so that the other rows do not lie in its memory.
        task_vectors = _copied(task_vectors, handout.rows)
    read = None
    if handout.track != "weights":
        encoder = encoder or provider(handout.provider).backbone(handout.weights)[1]
        # What a method learns depends on no choice that a machine makes for its evaluation.
        passes = Passes(handout.batch_size)
        setting = Setting.of(encoder, handout.device, passes, pretrained.clone())
        read = reader(get_recipe(handout.recipe).read, setting)
    inputs = {task: store.get("inputs", key) for task, key in handout.inputs.items()}
    return Given(
        pretrained=pretrained.detach(),  # an object of its own, on the same memory
        task_vectors=task_vectors.detach(),
        space=space_of(artifact),
        tasks=handout.tasks,
        recipe=handout.recipe,
        track=handout.track,
        seed=handout.seed,
        # Of the suites whose tasks have classes, heads are linear, and typed so for methods.
        heads=cast("dict[str, Head]", {t: _head(store, key) for t, key in handout.heads.items()}),
        features=read.features if read else _no_model,
        gram_matrices=read.gram_matrices if read else _no_model,
        data=SuiteData(inputs, track=handout.track),
        gradient_budget=handout.gradient_budget,
        precision=artifact.facts.get("precision", FLOAT32_ROUNDOFF),
    )


def edit(
    method: Method,
    handout: Handout,
    *,
    store: Store | None = None,
    vectors: Artifact | None = None,
    encoder: nn.Module | None = None,
    limits: Limits,
) -> Edited:
    """Hand a method what it may have, run it, and check its result.

    A built-in method runs here. A plug-in runs in a process of its own, which puts the same
    together for itself.

    Args:
        method: it.
        handout: what it is handed.
        store: see `build_given`.
        vectors: the artifact that this names, if it was read.
        encoder: see `build_given`.
        limits: what holds for a plug-in.

    Raises:
        TaskmarkError: if the edit is not of the agreed form, the inputs were written to, or a
            plug-in fails.
        Exception: whatever a built-in method raises.
    """
    store = store or Store(Path(handout.store))
    artifact = vectors or store.get("task_vectors", handout.vectors)
    if isinstance(method, StandIn):
        return _edit_isolated(method, handout, store, artifact, limits)
    given = build_given(handout, store=store, vectors=artifact, encoder=encoder)
    made, spent = run_method(method, given)
    counts = given.touched, given.gradient_images, given.forward_images
    return Edited(made, spent, *counts, own_word=False)


def run_method(method: Method, given: Given) -> tuple[Edit, Spent]:
    """Run a method in this process, measure it, and check its result and its inputs.

    Raises:
        TaskmarkError: if the edit is not of the agreed form or the inputs were written to.
        Exception: whatever the method raises.
    """
    handed, heads = (given.pretrained, given.task_vectors), dict(given.heads)
    # The same memory in objects that the method does not hold, and cannot turn to other memory.
    own = [tensor.detach() for tensor in handed]
    before = [_hash(tensor) for tensor in own]
    with measure() as spent, keep_settings():
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
    return made.checked(len(own[0]), heads), spent


def _edit_isolated(
    method: StandIn, handout: Handout, store: Store, vectors: Artifact, limits: Limits
) -> Edited:
    size = len(vectors.tensors["pretrained"])
    heads = {task: _head(store, key) for task, key in handout.heads.items()}
    numbers = size * (len(handout.tasks) + 1) + sum(
        getattr(head, "size", 0) for head in heads.values()
    )
    made, said, spent = method.edit_isolated(
        asdict(handout), limits, most_bytes=4 * numbers + _HEADER_BYTES
    )
    checked = made.checked(size, heads)
    for key in handout.inputs.values():  # which the other process has read
        current_account().add_use(f"inputs/{key}", store.read_facts("inputs", key).notes)
    for sentence in said.notes:
        note(sentence)
    counts = said.touched, said.gradient_images, said.forward_images
    return Edited(checked, spent, *counts, own_word=True)


def _no_model(*_: object) -> NoReturn:
    raise DataRefusedError(
        "There is no model on the track 'weights'; declare track = 'unlabelled' to run one."
    )


def _head(store: Store, key: str) -> TaskHead:
    artifact = store.get("heads", key)
    return read_head(artifact.tensors, artifact.facts)


def _copied(vectors: Tensor, rows: tuple[int, ...]) -> Tensor:
    """Some rows of vectors [T, P], in memory of their own."""
    # Products of matrices depend, in their last bits, on how their memory is aligned.
    n_numbers = len(rows) * vectors.shape[1]
    room = torch.empty(n_numbers + _ALIGNMENT // vectors.element_size())
    start = (vectors[rows[0]].data_ptr() - room.data_ptr()) % _ALIGNMENT // room.element_size()
    copy = room[start : start + n_numbers].view(len(rows), -1)
    return torch.index_select(vectors, 0, torch.tensor(rows), out=copy)


def _hash(tensor: Tensor) -> str:
    """SHA-256 of the SHA-256 of each block, worked out in threads."""
    content = tensor.numpy().reshape(-1).view(np.uint8).data

    def of_block(start: int) -> bytes:
        return hashlib.sha256(content[start : start + _HASHED_AT_ONCE]).digest()

    with ThreadPoolExecutor() as threads:
        blocks = threads.map(of_block, range(0, len(content), _HASHED_AT_ONCE))
        return hashlib.sha256(b"".join(blocks)).hexdigest()
