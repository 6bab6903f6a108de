"""How often a job reads, and so verifies, what it stands on: once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from taskmark.context import Context
from taskmark.engine.plan import Selection, plan
from taskmark.plugins.method_choice import MethodChoice
from taskmark.store.artifacts import Store
from taskmark.suite.definition import read

if TYPE_CHECKING:
    from taskmark.store.artifacts import Artifact

METHODS = ("task_arithmetic", "ties", "experts", "linear_probing", "atlas", "tangent_fine_tuning")
N_TASKS = 3


@pytest.fixture(scope="module")
def readings(tmp_path_factory, tiny_suite):
    """Each job of a run with what it read from the store: (job, kind -> times)."""
    context = Context(read(tiny_suite), tmp_path_factory.mktemp("store"), "cpu")
    times: Counter[str] = Counter()
    get = Store.get

    def counted(store: Store, kind: str, key: str) -> Artifact:
        times[kind] += 1
        return get(store, kind, key)

    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "get", counted)
        choices = tuple(MethodChoice(name) for name in METHODS)
        for job in plan(context, Selection(methods=choices)).jobs:
            times.clear()
            job.function(context, job.key, **job.arguments)
            found.append((job, dict(times)))
    return found


@pytest.mark.parametrize("kind", ["records", "normaliser", "disentanglement"])
def test_task_vectors_are_read_once_a_job(readings, kind):
    found = {job.label: times["vectors"] for job, times in readings if job.kind == kind}
    assert found
    assert set(found.values()) == {1}, found


def test_inputs_are_read_for_the_scale_and_for_the_methods_that_may_see_them(readings):
    rows = {job.label.split(": ")[1]: times for job, times in readings if job.kind == "records"}
    assert rows["task_arithmetic"]["inputs"] == N_TASKS  # to choose the scale
    assert rows["atlas"]["inputs"] == N_TASKS  # to learn from; its scale is fixed
    assert "inputs" not in rows["experts"]  # neither
    for times in rows.values():
        assert times["inputs_test"] == N_TASKS
