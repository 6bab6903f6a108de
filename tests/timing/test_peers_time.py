"""Merging beside other libraries, on the same models: `nox -s timing -- --peers` installs them.

They start from experts and end at a merged model; ours is timed from task vectors to the merged
vector, which is what is kept and searched over, and from experts to a merged model as well. Memory
is what a call adds at its peak, its result included.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from side_by_side import MEGABYTE, N_TASKS, Cost, in_turn, note, say_faster

import taskmark.methods
from taskmark import Given, WeightSpace

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.timing

SCRIPT = str(Path(__file__).with_name("peers.py"))


@dataclass(frozen=True, slots=True)
class Case:
    """A method of ours beside a library's, and how many times faster it should be.

    Attributes:
        ours: the name of our method.
        peer: the name of the library.
        theirs: what tests/timing/peers.py calls its method.
        parameters: of theirs.
        target: what is asked for.
        fields: what its definition is called here; only with it the results can agree.
        rounds: timed calls at most, where one takes minutes.
    """

    ours: str
    peer: str
    theirs: str
    parameters: Mapping[str, Any]
    target: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    rounds: int = 100

    def __str__(self) -> str:
        return f"{self.ours}-{self.peer}"


WEIGHT = {"weight": 1.0}
BAND = {"density": 0.15, "gamma": 0.006}
CASES = (
    Case("task_arithmetic", "mergekit", "task_arithmetic", WEIGHT, "at least 4 x"),
    Case(
        "task_arithmetic",
        "fusion_bench",
        "task_arithmetic.task_arithmetic:TaskArithmeticAlgorithm",
        {"scaling_factor": 1.0},
        "at least 4 x",
    ),
    Case(
        "ties", "mergekit", "ties", WEIGHT | {"density": 0.2}, "at least 20 x", {"scope": "tensor"}
    ),
    Case(
        "ties",
        "fusion_bench",
        "ties_merging.ties_merging:TiesMergingAlgorithm",
        {"scaling_factor": 1.0, "threshold": 0.2, "remove_keys": [], "merge_func": "mean"},
        "at least 20 x",
    ),
    Case("dare_ties", "mergekit", "dare_ties", WEIGHT | {"density": 0.1}, "at least 7 x"),
    Case("breadcrumbs", "mergekit", "breadcrumbs", WEIGHT | BAND, "at least 15 x"),
    Case("della", "mergekit", "della", WEIGHT | {"density": 0.7, "epsilon": 0.07}, "at least 4 x"),
    Case(
        "tsv_m",
        "fusion_bench",
        "task_singular_vector.TSVM:TaskSingularVectorMerging",
        {"alpha": 1.0},
        "at least 2 x, with a tenth of the memory",
        rounds=1,
    ),
)


@pytest.fixture(scope="module")
def space(request) -> WeightSpace:
    name = request.config.getoption("peer_model", None)
    if name is None:
        pytest.skip("name the folder tests/timing to pytest, which then knows the options")
    with torch.device("meta"):
        return WeightSpace.of(timm.create_model(name, num_classes=0))


@pytest.fixture(scope="module")
def models(space, tmp_path_factory) -> tuple[Path, torch.Tensor, torch.Tensor]:
    """The file of the models, theta0 [P], and the experts [T, P]."""
    generator = torch.Generator().manual_seed(0)
    pretrained = torch.empty(space.size).normal_(std=0.05, generator=generator)
    experts = torch.empty(N_TASKS, space.size).normal_(std=0.002, generator=generator)
    experts += pretrained
    path = tmp_path_factory.mktemp("peers") / "models.safetensors"
    # What has a first dimension of one is laid flat: on such rows mergekit's DELLA fails.
    shapes = {p.name: p.shape if p.shape[:1] != (1,) else (p.size,) for p in space}
    metadata = {"shapes": json.dumps(shapes)}
    save_file({"pretrained": pretrained, "experts": experts}, path, metadata=metadata)
    return path, pretrained, experts


@pytest.mark.parametrize("case", CASES, ids=str)
def test_merging_beside_a_peer(case, space, models, request, benchmark):
    pythons = dict(pair.split("=", 1) for pair in request.config.getoption("peer"))
    if case.peer not in pythons:
        pytest.skip(f"{case.peer} is not installed; `nox -s timing -- --peers` does it")
    source, pretrained, experts = models
    rounds = min(case.rounds, request.config.getoption("peer_rounds"))
    theirs, merged = _peer(pythons[case.peer], case, source, rounds)

    vectors = experts - pretrained
    given = Given.of_weights(pretrained, vectors, space)
    method = taskmark.methods.get(case.ours)(**case.fields)
    default = taskmark.methods.get(case.ours)()

    states = space.unflatten(pretrained), [space.unflatten(expert) for expert in experts]

    def from_experts() -> torch.Tensor:
        loaded = Given.of_models(*states)
        return method.merge(loaded).add_(loaded.pretrained)

    others = [lambda: default.merge(given)] if method != default else []
    own, whole, *usual = in_turn(
        benchmark, lambda: method.merge(given), from_experts, *others, rounds=rounds
    )
    what = f"{case.ours} of {N_TASKS} x {space.size / 1e6:.1f} M numbers"
    say_faster(what, own, theirs, against=f"{case.peer}, vectors to vector", target=case.target)
    say_faster("  the same", whole, theirs, against=f"{case.peer}, experts to model", target="none")
    for cost in usual:
        say_faster("  our default", cost, theirs, against=f"{case.peer}'s", target="none")
    note(
        f"    memory {own.peak_bytes / MEGABYTE:.0f} MiB, of which {space.size * 4 / MEGABYTE:.0f} "
        f"are the result; {case.peer}'s {theirs.peak_bytes / MEGABYTE:.0f} MiB"
    )
    difference = (merged - pretrained) - method.merge(given)
    apart = float(difference.norm() / method.merge(given).norm())
    note(f"    results differ by {apart:.1e} of their norm")


def _peer(python: str, case: Case, source: Path, rounds: int) -> tuple[Cost, torch.Tensor]:
    target = source.with_name("merged.safetensors")
    parameters = json.dumps(dict(case.parameters))
    command = [python, SCRIPT, case.theirs, parameters, str(source), str(target), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    spent = json.loads(done.stdout.splitlines()[-1])
    cost = Cost(median(spent["cpu"]), median(spent["wall"]), max(spent["peak_bytes"]))
    return cost, load_file(target)["merged"]
