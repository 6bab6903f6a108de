"""What a stage costs: which artifacts it reads, how often, and how many encoders it builds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import tiny_provider
from tiny_setting import request_of, store_at

from taskmark.engine.plan import plan
from taskmark.stages import editing
from taskmark.store.artifacts import Store

if TYPE_CHECKING:
    from taskmark.engine.stage import Stage
    from taskmark.store.artifacts import Artifact

METHODS = ("task_arithmetic", "ties", "experts", "linear_probing", "atlas", "tangent_fine_tuning")
N_TASKS = 3


@dataclass
class Counted:
    stage: Stage
    reads: Counter[str]
    encoders: int
    hashes: int


@pytest.fixture(scope="module")
def counted(tmp_path_factory, tiny_suite):
    """Each stage of a run with what it read, built and hashed."""
    store = store_at(tmp_path_factory.mktemp("store"))
    reads: Counter[tuple[str, str]] = Counter()
    calls: Counter[str] = Counter()
    get, backbone, hash_ = Store.get, tiny_provider.backbone, editing._hash

    def counted_get(self: Store, kind: str, key: str) -> Artifact:
        reads[kind, key] += 1
        return get(self, kind, key)

    def counted_backbone(weights: str) -> object:
        calls["encoders"] += 1
        return backbone(weights)

    def counted_hash(tensor: object) -> str:
        calls["hashes"] += 1
        return hash_(tensor)

    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "get", counted_get)
        patch.setattr(tiny_provider, "backbone", counted_backbone)
        patch.setattr(editing, "_hash", counted_hash)
        for stage in plan(request_of(tiny_suite, *METHODS)):
            reads.clear()
            calls.clear()
            stage.make(store)
            kinds = Counter(kind for kind, _ in reads)
            found.append(Counted(stage, kinds, calls["encoders"], calls["hashes"]))
    return found


def _rows(counted):
    return {own.stage.method.name: own for own in counted if own.stage.name == "records"}


def test_a_row_builds_one_encoder_and_none_where_nothing_is_read(counted):
    rows = _rows(counted)
    for name in ("task_arithmetic", "ties", "atlas", "linear_probing", "tangent_fine_tuning"):
        assert rows[name].encoders == 1, name
    assert rows["experts"].encoders == 0  # its answers are those of the reference


def test_task_vectors_are_hashed_once_before_and_once_after_the_edit(counted):
    for name, own in _rows(counted).items():
        assert own.hashes == 4, name  # theta0 and the task vectors, twice each


def test_inputs_are_read_for_the_scale_and_for_the_methods_that_may_see_them(counted):
    rows = _rows(counted)
    assert rows["task_arithmetic"].reads["inputs"] == N_TASKS  # to choose the scale
    assert rows["atlas"].reads["inputs"] == N_TASKS  # to learn from; its scale is fixed
    assert not rows["experts"].reads["inputs"]  # neither
    for own in rows.values():
        assert own.reads["inputs_test"] == N_TASKS
        assert own.reads["task_vectors"] == 1
        assert own.reads["expert_reference"] == 1
