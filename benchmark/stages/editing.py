"""The edit stage: run a method on what it is given, and trust nothing that it leaves behind."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from taskmark.contract.edit import Edit
from taskmark.contract.given import Given
from taskmark.contract.recipe import recipe_named
from taskmark.contract.weights import WeightSpace
from taskmark.errors import TaskmarkError
from taskmark.inference.readers import Reader, reader
from taskmark.machine.costs import Spent, measure
from taskmark.machine.global_settings import keep_settings
from taskmark.plugins.isolated_methods import StandIn
from taskmark.stages.data import SuiteData
from taskmark.stages.expert_reference import stored_passes
from taskmark.store.recording import current_account

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from taskmark.context import Context
    from taskmark.contract.method import Method
    from taskmark.inference.passes import Passes
    from taskmark.stages.experts import Stand
    from taskmark.store.artifacts import Artifact
    from taskmark.store.in_file import InFile

_HASHED_AT_ONCE = 1 << 24  # bytes


def give(
    context: Context, stand: Stand, method: Method, seed: int, vectors: Artifact
) -> tuple[Given, dict[str, InFile]]:
    """Put together what a method is handed.

    Args:
        context: of the run.
        stand: what the method stands on.
        method: it.
        seed: of its generator.
        vectors: the stand's. Their memory is shared with what is handed over, so what `apply`
            finds unchanged is what the harness goes on with.

    Returns:
        What is handed out, and where in files that lies, of which nothing is known here.
    """
    pretrained = vectors.tensors["pretrained"]
    encoder = context.encoder(stand.backbone)
    # What a method learns depends on no choice that a machine makes for its evaluation.
    read = own_reader(context, stand, pretrained.clone(), passes=context.passes)
    keys = stand.inputs if method.track != "weights" else {}
    inputs = {task: context.store.get("inputs", key) for task, key in keys.items()}
    given = Given(
        pretrained=pretrained.detach(),  # an object of its own, on the same memory
        task_vectors=vectors.tensors["task_vectors"].detach(),
        space=WeightSpace.of(encoder),
        tasks=vectors.facts["tasks"],
        recipe=stand.recipe,
        track=method.track,
        seed=seed,
        heads={task: stand.head(context, task) for task in stand.heads},
        features=read.features,
        gram_matrices=read.gram_matrices,
        data=SuiteData(inputs, track=method.track),
        gradient_budget=context.suite.protocol.gradient_images,
    )
    return given, {}


def own_reader(
    context: Context, stand: Stand, pretrained: Tensor, *, passes: Passes | None = None
) -> Reader:
    """A reader of theta0 [P] with an encoder of its own, which nothing else uses.

    It passes images as the stand's experts were read unless something else is said. What is noted
    of them is noted of all that is read with it.
    """
    current_account().add_use(
        f"normaliser/{stand.normaliser}", context.store.made("normaliser", stand.normaliser).notes
    )
    encoder = context.encoder(stand.backbone)
    passes = passes or stored_passes(context, stand.normaliser)
    return reader(recipe_named(stand.recipe).read, context.setting(encoder, pretrained, passes))


def apply(
    method: Method, given: Given, files: Mapping[str, InFile] | None = None
) -> tuple[Edit, Spent]:
    """Run the method, measure it, and check its result and its inputs.

    A plug-in runs in a process of its own, on copies; a built-in method runs here.

    Args:
        method: it.
        given: what it is handed.
        files: where in files that lies, see `give`; what is not said to lie in one is copied.

    Raises:
        TaskmarkError: if the edit is not of the agreed form or the inputs were written to.
        Exception: whatever the method raises.
    """
    handed, heads = (given.pretrained, given.task_vectors), dict(given.heads)
    if isinstance(method, StandIn):
        edit, spent = method.edit_apart(given, files or {})
        return edit.checked(given.space.size, heads), spent
    # The same memory in objects that the method does not hold, and cannot turn to other memory.
    own = [tensor.detach() for tensor in handed]
    before = [_hash(tensor) for tensor in own]
    with measure() as spent, keep_settings():
        edit = method.edit(given)
    kept = all(mine.is_set_to(theirs) for mine, theirs in zip(own, handed, strict=True))
    if not kept or [_hash(tensor) for tensor in own] != before:
        raise TaskmarkError(
            f"The method {method.name!r} wrote to its inputs; "
            "work on a copy, for example given.task_vectors.clone()."
        )
    if type(edit) is not Edit:  # a subclass could bring a check of its own
        raise TaskmarkError(
            f"The method {method.name!r} returned a {type(edit).__name__} from edit(); "
            "return a taskmark.Edit, or override merge() alone."
        )
    return edit.checked(len(own[0]), heads), spent


def _hash(tensor: Tensor) -> str:
    """SHA-256 of the SHA-256 of each block, worked out in threads."""
    content = tensor.numpy().reshape(-1).view(np.uint8).data

    def of_block(start: int) -> bytes:
        return hashlib.sha256(content[start : start + _HASHED_AT_ONCE]).digest()

    with ThreadPoolExecutor() as threads:
        blocks = threads.map(of_block, range(0, len(content), _HASHED_AT_ONCE))
        return hashlib.sha256(b"".join(blocks)).hexdigest()
