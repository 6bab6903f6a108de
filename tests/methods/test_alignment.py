"""Alignment on a real attention block: what was permuted is found again, and its function kept."""

import pytest
import torch
from timm.models.vision_transformer import Block
from torch import nn

from taskmark import WeightSpace
from taskmark.errors import TaskmarkError
from taskmark.methods.hierarchical_ot import align_function, align_rows

WIDTH, HEADS, HIDDEN = 12, 3, 24


class Transformer(nn.Module):
    """Two blocks of timm's."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(
            *(Block(WIDTH, HEADS, mlp_ratio=2, qkv_bias=True) for _ in "ab")
        )

    def forward(self, tokens):
        return self.blocks(tokens)


@pytest.fixture
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = Transformer().eval()
        for parameter in made.parameters():
            nn.init.normal_(parameter, std=0.5)  # biases, too
    return made


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def permuted(space, vector):
    """Heads and hidden units of the first block in another order, by plain indexing."""
    state = {name: tensor.clone() for name, tensor in space.unflatten(vector).items()}
    heads, units = [2, 0, 1], torch.randperm(HIDDEN, generator=torch.Generator().manual_seed(1))
    size = WIDTH // HEADS
    columns = torch.tensor([head * size + i for head in heads for i in range(size)])
    rows = torch.cat([third * WIDTH + columns for third in range(3)])
    attention, mlp = "blocks.0.attn", "blocks.0.mlp"
    state[f"{attention}.qkv.weight"] = state[f"{attention}.qkv.weight"][rows]
    state[f"{attention}.qkv.bias"] = state[f"{attention}.qkv.bias"][rows]
    state[f"{attention}.proj.weight"] = state[f"{attention}.proj.weight"][:, columns]
    state[f"{mlp}.fc1.weight"] = state[f"{mlp}.fc1.weight"][units]
    state[f"{mlp}.fc1.bias"] = state[f"{mlp}.fc1.bias"][units]
    state[f"{mlp}.fc2.weight"] = state[f"{mlp}.fc2.weight"][:, units]
    return space.flatten(state)


def output(model, space, vector):
    tokens = random(2, 5, WIDTH, seed=9)
    with torch.no_grad():
        return torch.func.functional_call(model, space.unflatten(vector), (tokens,))


def test_a_planted_permutation_is_undone(model):
    space = WeightSpace.of(model)
    weights = space.flatten(model.state_dict())
    other = permuted(space, weights)
    assert not torch.equal(other, weights)
    align_function(weights, other, space, heads=None)
    assert torch.equal(other, weights)


def test_a_planted_permutation_is_undone_under_noise(model):
    space = WeightSpace.of(model)
    weights = space.flatten(model.state_dict())
    tuned = weights + 0.05 * random(space.size)
    other = permuted(space, tuned)
    align_function(weights, other, space, heads=None)
    assert torch.equal(other, tuned)


def test_what_a_model_computes_is_kept(model):
    space = WeightSpace.of(model)
    target, other = random(space.size), space.flatten(model.state_dict())
    before, kept = output(model, space, other), other.clone()
    align_function(target, other, space, heads=None)
    assert not torch.equal(other, kept)
    assert torch.allclose(output(model, space, other), before, rtol=1e-4, atol=1e-5)
    assert (target - other).norm() < (target - kept).norm()


def test_rows_alone_come_nearer_and_change_the_function(model):
    space = WeightSpace.of(model)
    target, other = random(space.size), space.flatten(model.state_dict())
    before, kept = output(model, space, other), other.clone()
    align_rows(target, other, space)
    assert not torch.allclose(output(model, space, other), before, rtol=1e-2, atol=1e-2)
    for part in space:
        one, two, aim = (v[part.slice] for v in (other, kept, target))
        if ".attn." in part.name:
            assert torch.equal(one.sort().values, two.sort().values)
            assert not torch.equal(one, two)
        else:
            assert torch.equal(one, two)
        assert (one - aim).norm() <= (two - aim).norm() * 1.0001 or part.name.endswith("bias")


def test_rows_stay_within_q_k_v():
    space = WeightSpace.of({"attn.qkv.weight": torch.zeros(6, 1), "attn.proj.weight": torch.eye(2)})
    target = torch.tensor([1.0, 2, 3, 4, 5, 6, 0, 1, 1, 0])
    model = torch.tensor([2.0, 1, 4, 3, 6, 5, 1, 0, 0, 1])
    align_rows(target, model, space)
    assert torch.equal(model, target)
    crossed = torch.tensor([4.0, 3, 2, 1, 6, 5, 0, 1, 1, 0])  # q and k changed places
    align_rows(target, crossed, space)
    assert crossed[:6].tolist() == [3, 4, 1, 2, 5, 6]


def test_the_identity_stays_where_models_are_near(model):
    space = WeightSpace.of(model)
    weights = space.flatten(model.state_dict())
    near = weights + 0.01 * random(space.size)
    for align in (align_rows, lambda *given: align_function(*given, heads=None)):
        moved = near.clone()
        align(weights, moved, space)
        assert torch.equal(moved, near)


def test_a_gated_layer_is_left_alone():
    shapes = {"mlp.fc1.weight": (8, 3), "mlp.fc2.weight": (3, 4)}
    space = WeightSpace.of({name: torch.zeros(shape) for name, shape in shapes.items()})
    target, other = random(space.size), random(space.size, seed=1)
    kept = other.clone()
    align_function(target, other, space, heads=None)
    assert torch.equal(other, kept)


def test_heads_must_be_known_and_divide_the_width(model):
    space = WeightSpace.of(model.state_dict())
    weights = space.flatten(model.state_dict())
    with pytest.raises(
        TaskmarkError, match=r"how many attention heads 'blocks\.0\.attn\.qkv\.weight'"
    ):
        align_function(weights, weights.clone(), space, heads=None)
    with pytest.raises(TaskmarkError, match="36 rows does not hold q, k and v of 5 heads"):
        align_function(weights, weights.clone(), space, heads=5)
    other = permuted(space, weights)
    align_function(weights, other, space, heads=HEADS)
    assert torch.equal(other, weights)
