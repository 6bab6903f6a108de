"""Several tangents on one batch: a pass for each, all in one pass, or one pass kept as a graph."""

from __future__ import annotations

import pytest
import torch
from side_by_side import in_turn, say
from torch.func import functional_call, jvp, linearize, vmap

from taskmark import WeightSpace
from taskmark.inference.linearised import differentiable_attention, value_and_tangent
from taskmark.suites.mini.architecture import N_TOKENS, SMALL, build

pytestmark = pytest.mark.timing

N_TANGENTS, BATCH = 8, 64


@pytest.mark.filterwarnings("ignore")  # what torch warns of while it traces is not ours
def test_several_tangents_three_ways(benchmark):
    encoder = build()[1].eval().requires_grad_(False)
    space = WeightSpace.of(encoder)
    pretrained = space.flatten(dict(encoder.named_parameters()))
    generator = torch.Generator().manual_seed(0)
    vectors = torch.empty(N_TANGENTS, space.size).normal_(std=0.01, generator=generator)
    inputs = torch.randn(BATCH, N_TOKENS, SMALL.width, generator=generator)

    def at(vector: torch.Tensor) -> torch.Tensor:
        return functional_call(encoder, space.unflatten(vector), (inputs,))

    def one_by_one() -> torch.Tensor:
        pairs = (value_and_tangent(encoder, space, pretrained, v, inputs) for v in vectors)
        return torch.stack([tangent for _, tangent in pairs])

    def vmapped() -> torch.Tensor:
        with differentiable_attention():
            return vmap(lambda vector: jvp(at, (pretrained,), (vector,))[1])(vectors)

    def linearized() -> torch.Tensor:
        with differentiable_attention():
            push = linearize(at, pretrained)[1]
            return torch.stack([push(vector) for vector in vectors])

    for other in (vmapped, linearized):
        torch.testing.assert_close(other(), one_by_one(), rtol=1e-3, atol=1e-4)
    all_at_once, kept, loop = in_turn(benchmark, vmapped, linearized, one_by_one)
    against, target = "a pass for each", "none; a pass for each is what is used"
    say(f"{N_TANGENTS} tangents by vmap", all_at_once, loop, against=against, target=target)
    say(f"{N_TANGENTS} tangents by linearize", kept, loop, against=against, target=target)
