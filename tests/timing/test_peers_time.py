"""Merging beside other libraries, on the same models: `nox -s timing -- --peers` installs them.

They start from experts and end at a merged model; ours is timed from task vectors to the merged
vector, which is what is kept and searched over, and from experts to a merged model as well.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from statistics import median

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from side_by_side import Cost, in_turn, note, say_faster

import taskmark.methods
from taskmark import Given, WeightSpace

pytestmark = pytest.mark.timing

N_TASKS = 8
SCRIPT = str(Path(__file__).with_name("peers.py"))
TARGETS = {"task_arithmetic": "at least 4 x", "ties": "at least 20 x"}

# What a peer's definition is called here: only with it the results can agree.
SAME = {"mergekit": {"ties": {"scope": "tensor"}}, "fusion_bench": {}}


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
    shapes = json.dumps({part.name: part.shape for part in space})
    save_file({"pretrained": pretrained, "experts": experts}, path, metadata={"shapes": shapes})
    return path, pretrained, experts


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("peer", SAME)
def test_merging_beside_a_peer(peer, name, space, models, request, benchmark):
    pythons = dict(pair.split("=", 1) for pair in request.config.getoption("peer"))
    if peer not in pythons:
        pytest.skip(f"{peer} is not installed; `nox -s timing -- --peers` does it")
    source, pretrained, experts = models
    rounds = request.config.getoption("peer_rounds")
    theirs, merged = _peer([pythons[peer], SCRIPT, peer, name], source, rounds)

    vectors = experts - pretrained
    given = Given.of_weights(pretrained, vectors, space)
    method = taskmark.methods.get(name)(**SAME[peer].get(name, {}))
    default = taskmark.methods.get(name)()

    states = space.unflatten(pretrained), [space.unflatten(expert) for expert in experts]

    def from_experts() -> torch.Tensor:
        loaded = Given.of_models(*states)
        return method.merge(loaded).add_(loaded.pretrained)

    own, whole, usual = in_turn(
        benchmark, lambda: method.merge(given), from_experts, lambda: default.merge(given)
    )
    what = f"{name} of {N_TASKS} x {space.size / 1e6:.1f} M numbers"
    say_faster(what, own, theirs, against=f"{peer}, vectors to vector", target=TARGETS[name])
    say_faster("  the same", whole, theirs, against=f"{peer}, experts to model", target="none")
    if method != default:
        say_faster("  our default", usual, theirs, against=f"{peer}'s variant", target="none")
    difference = (merged - pretrained) - method.merge(given)
    apart = float(difference.norm() / method.merge(given).norm())
    note(f"    results differ by {apart:.1e} of their norm")


def _peer(command: list[str], source: Path, rounds: int) -> tuple[Cost, torch.Tensor]:
    target = source.with_name("merged.safetensors")
    command = [*command, str(source), str(target), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    seconds = json.loads(done.stdout.splitlines()[-1])
    return Cost(median(seconds["cpu"]), median(seconds["wall"])), load_file(target)["merged"]
