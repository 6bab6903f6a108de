"""What stays out of reach: walking from `given` over everything that hangs on it."""

from __future__ import annotations

import types
from collections.abc import Mapping
from pathlib import Path

import pytest
import tiny_provider
import torch
from tiny_setting import request_of, store_at
from torch import Tensor, nn

from taskmark.engine.plan import plan
from taskmark.engine.stage_store import StageStore
from taskmark.methods.task_arithmetic import TaskArithmetic
from taskmark.stages.editing import build_given
from taskmark.stages.row import MeasureRow
from taskmark.store.artifacts import Artifact, Store
from taskmark.suite.suite_file import Suite

TASKS = ("hills", "lakes", "woods")


def _hanging_on(value: object) -> list[object]:
    """What an object refers to as data: attributes, items, closures, the self of its methods."""
    if isinstance(value, (str, bytes, int, float, type, types.ModuleType, torch.dtype, Tensor)):
        return []
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return [*cells, *(value.__defaults__ or ()), *vars(value).values()]
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    found = [getattr(value, name) for name in slots if hasattr(value, name)]
    return [*found, *getattr(value, "__dict__", {}).values()]


def _reachable(start: object) -> list[object]:
    seen: dict[int, object] = {}
    waiting = [start]
    while waiting:
        value = waiting.pop()
        if id(value) not in seen:
            seen[id(value)] = value
            waiting += _hanging_on(value)
    return list(seen.values())


@pytest.fixture
def given_of(tiny_run, tiny_suite, tiny_store):
    def make(track: str):
        tiny_run("task_arithmetic", recipes=("standard", "tangent"))
        request = request_of(tiny_suite, "task_arithmetic", recipes=("standard", "tangent"))
        rows = [s for s in plan(request) if isinstance(s, MeasureRow)]
        method = type("Tracked", (TaskArithmetic,), {"track": track, "name": "tracked"})()
        return [
            build_given(row.handout(store_at(tiny_store), method))
            for row in rows
            if row.method.name == "task_arithmetic"
        ]

    return make


@pytest.mark.parametrize("track", ["weights", "unlabelled", "labelled"])
def test_nothing_of_a_test_split_hangs_on_what_a_method_is_given(given_of, track):
    pixels = {task: _inputs(task, "test") for task in TASKS}
    labels = {task: torch.from_numpy(tiny_provider.task(task).test.labels) for task in TASKS}
    for given in given_of(track):
        found = _reachable(given)
        tensors = [value for value in found if isinstance(value, Tensor)]
        assert any(torch.equal(tensor, given.pretrained) for tensor in tensors)
        for task in TASKS:
            assert not any(torch.equal(tensor, pixels[task]) for tensor in tensors)
            assert not any(torch.equal(tensor, labels[task]) for tensor in tensors)
            # Nor the images among others: no row of one is a row of any tensor there.
            rows = [t for t in tensors if t.ndim == 2 and t.shape[1] == pixels[task].shape[1]]
            assert not any((t == pixels[task][0]).all(1).any() for t in rows)


@pytest.mark.parametrize(
    ("track", "images", "labels"),
    [("weights", False, False), ("unlabelled", True, False), ("labelled", True, True)],
)
def test_what_a_track_does_not_permit_does_not_hang_there_either(given_of, track, images, labels):
    """This also shows that the walk would find test data if it were there."""
    for given in given_of(track):
        tensors = [value for value in _reachable(given) if isinstance(value, Tensor)]
        for split in ("train", "validation"):
            data = getattr(tiny_provider.task("hills"), split)
            own = _inputs("hills", split), torch.from_numpy(data.labels)
            assert any(torch.equal(t, own[0]) for t in tensors) is images
            assert any(torch.equal(t, own[1]) for t in tensors) is labels


def _inputs(task: str, split: str) -> Tensor:
    images = torch.from_numpy(getattr(tiny_provider.task(task), split).images)
    return tiny_provider.Stem()(images.permute(0, 3, 1, 2))


def test_neither_store_nor_suite_nor_paths_hang_on_what_a_method_is_given(given_of):
    for given in given_of("labelled"):
        found = _reachable(given)
        assert any(isinstance(value, nn.Module) for value in found)
        for value in found:
            assert not isinstance(value, (Store, StageStore, Suite, Artifact, Path))
            assert not (isinstance(value, str) and len(value) == 64)  # the form of a key
        for tensor in (given.pretrained, given.task_vectors, given.images("hills")):
            storage = tensor.untyped_storage()
            assert not getattr(storage, "filename", None)
