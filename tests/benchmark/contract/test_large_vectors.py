"""Large task vectors: laid into one file without ever being in memory together."""

from __future__ import annotations

import subprocess
import sys

import pytest

# A process of its own, since what this one held before would hide a peak.
STACK = """
import sys
from pathlib import Path
from types import SimpleNamespace
import torch
from torch import nn
from taskmark.machine.costs import measured
from taskmark.stages.experts import stack_vectors
from taskmark.store.artifacts import Store
from taskmark.contract.weights import WeightSpace

N_TASKS, SIZE = 10, 4_000_000
store = Store(Path(sys.argv[1]))
for task in range(N_TASKS):
    store.put("experts", f"{task}", {"vector": torch.full((SIZE,), float(task))},
              {"seconds": 1.0, "cpu_seconds": 1.0})
encoder = nn.Linear(2000, 2000, bias=False)

def setting(encoder):
    weights = dict(encoder.named_parameters())
    return SimpleNamespace(pretrained=WeightSpace.of(encoder).flatten(weights))

context = SimpleNamespace(
    store=store,
    encoder=lambda backbone: encoder,
    setting=setting,
)
with measured() as spent:
    stack_vectors(context, "key", backbone="b", experts={f"t{t}": f"{t}" for t in range(N_TASKS)})
found = store.get("vectors", "key")
assert found.tensors["task_vectors"].shape == (N_TASKS, SIZE)
assert found.tensors["task_vectors"][:, ::999_999].tolist() == [[t] * 5 for t in range(N_TASKS)]
assert found.facts == {"tasks": [f"t{t}" for t in range(N_TASKS)], "seconds": 10, "cpu_seconds": 10}
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
from taskmark.machine.costs import measured

N_TASKS, SIZE = 5, 4_000_000
base = {"a": torch.zeros(SIZE // 2), "b": torch.zeros(2000, SIZE // 4000).T}
experts = [{"module." + n: t.clone() + 1 for n, t in base.items()} for _ in range(N_TASKS)]
Given.of_models({"a": torch.zeros(1)}, [{"a": torch.ones(1)}])
with measured() as spent:
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
