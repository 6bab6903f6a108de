"""Large task vectors: laid into one file without ever being in memory together."""

from __future__ import annotations

import subprocess
import sys

import pytest

# A process of its own, since what this one held before would hide a peak.
STACK = """
import sys
from dataclasses import dataclass
from pathlib import Path
import torch
from torch import nn
from taskmark.engine.stage import Stage
from taskmark.engine.stage_store import StageStore
from taskmark.machine.costs import measure
from taskmark.stages.task_vectors import TaskVectors
from taskmark.store.artifacts import Store

N_TASKS, SIZE = 10, 4_000_000


@dataclass(frozen=True)
class Expert(Stage):
    name = "experts"
    version = 1
    number: int
    label = "expert"

    def make(self, store):
        facts = {"seconds": 1.0, "cpu_seconds": 1.0}
        store.put(self, {"vector": torch.full((SIZE,), float(self.number))}, facts)


@dataclass(frozen=True)
class Model:
    weights: str = "any"

    def encoder(self):
        return ENCODER


ENCODER = nn.Linear(2000, 2000, bias=False)
store = StageStore(Store(Path(sys.argv[1])), "cpu")
experts = {f"t{number}": Expert(number) for number in range(N_TASKS)}
for expert in experts.values():
    expert.make(store)
stage = TaskVectors(Model(), experts)
with measure() as spent:
    stage.make(store)
found = store.get(stage)
assert found.tensors["task_vectors"].shape == (N_TASKS, SIZE)
assert found.tensors["task_vectors"][:, ::999_999].tolist() == [[t] * 5 for t in range(N_TASKS)]
assert found.facts["tasks"] == list(experts)
assert (found.facts["seconds"], found.facts["cpu_seconds"]) == (10, 10)
print(spent.peak_bytes / (4 * SIZE))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can set a peak back")
def test_ten_vectors_are_stacked_in_the_memory_of_a_few(tmp_path):
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", STACK, str(tmp_path)], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    # theta0, the vector that is written, and the one that comes next
    assert float(done.stdout) < 4


GIVE = """
import torch
from taskmark import Given
from taskmark.machine.costs import measure

N_TASKS, SIZE = 5, 4_000_000
base = {"a": torch.zeros(SIZE // 2), "b": torch.zeros(2000, SIZE // 4000).T}
experts = [{"module." + n: t.clone() + 1 for n, t in base.items()} for _ in range(N_TASKS)]
Given.of_models({"a": torch.zeros(1)}, [{"a": torch.ones(1)}])
with measure() as spent:
    given = Given.of_models(base, experts)
assert given.task_vectors.shape == (N_TASKS, SIZE)
print(spent.peak_bytes / (4 * SIZE))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can set a peak back")
def test_models_are_given_in_the_memory_of_their_vectors_alone():
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", GIVE], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 6.5  # theta0, five task vectors, and half of one
