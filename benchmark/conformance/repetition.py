"""Checks that a run leaves nothing behind: inputs, generators and switches stay as they were."""

from __future__ import annotations

import hashlib
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from taskmark.conformance.edits import edit_checked, edit_magnitudes, same
from taskmark.conformance.finding import UnmetError
from taskmark.conformance.miniature import miniature
from taskmark.machine.global_settings import read_settings, restore_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from taskmark.contract.given import Given
    from taskmark.contract.method import Method


def inputs(method: type[Method]) -> str:
    """Nothing that is given is written to."""
    given = miniature(method)
    held = _tensors(given)
    before = [digest(tensor) for tensor in held]
    method().edit(given)
    if [digest(tensor) for tensor in held] != before:
        raise UnmetError(
            "It writes to what it is given; work on a copy, for example given.task_vectors.clone()."
        )
    return "It leaves its inputs unchanged, by their hash."


def digest(tensor: Tensor) -> str:
    """SHA-256 of a tensor's bytes."""
    return hashlib.sha256(tensor.cpu().contiguous().numpy().tobytes()).hexdigest()


def _tensors(given: Given) -> list[Tensor]:
    # A method cannot be trusted to leave the account of its data alone, so it is read here.
    heads = [tensor for head in given.heads.values() for tensor in (head.weight, head.bias)]
    data = given._data.tensors()  # type: ignore[union-attr]  # noqa: SLF001
    return [given.pretrained, given.task_vectors, *heads, *data]


def seed(method: type[Method]) -> str:
    """The same seed gives the same result."""
    if not _repeats(method, method(), method()):
        raise UnmetError(
            "Two runs with the same seed differ; draw all randomness from given.generator."
        )
    return "The same seed gives the same result."


def _repeats(method: type[Method], first: Method, second: Method) -> bool:
    edits = edit_checked(first, miniature(method)), edit_checked(second, miniature(method))
    return same(*edits, terms=lambda: edit_magnitudes(method, miniature(method)))


def second_run(method: type[Method]) -> str:
    """An instance keeps no state."""
    instance = method()
    if not _repeats(method, instance, instance):
        raise UnmetError(
            "A second run of the same instance differs from the first; keep no state between runs."
        )
    return "A second run gives the same result as the first."


def global_randomness(method: type[Method]) -> str:
    """The global generators are neither drawn from nor seeded."""
    # One draw more, or a seed that an earlier check's run has set would be found as it was left.
    torch.rand(()), np.random.random(), random.random()  # noqa: NPY002
    before = _random_states()
    method().edit(miniature(method))
    if _random_states() != before:
        raise UnmetError("It draws from or seeds a global generator; use given.generator instead.")
    return "It leaves the global random generators alone."


def global_switches(method: type[Method]) -> str:
    """No switch of torch or numpy is left turned."""
    before = read_settings()
    method().edit(miniature(method))
    if turned := restore_settings(before):
        raise UnmetError(
            f"It changes {' and '.join(turned)} for all that runs after it; set it back before "
            "merge() returns, or do without."
        )
    return "It leaves the global switches of torch and numpy alone."


@contextmanager
def global_generators_restored() -> Iterator[None]:
    """Set the global generators back when the block ends."""
    kept = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        yield
    finally:
        torch.set_rng_state(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002
        random.setstate(kept[2])


def _random_states() -> tuple[bytes, str, object]:
    legacy = np.random.get_state()  # noqa: NPY002 - the global one is what is watched
    return torch.get_rng_state().numpy().tobytes(), repr(legacy), random.getstate()
