"""Weights from elsewhere: what is taken, under which names, and what is refused with its name."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from taskmark import Given, WeightSpace, methods
from taskmark.contract.foreign_weights import named_tensors
from taskmark.errors import TaskmarkError


def model(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()


def tuned(seed: int) -> nn.Module:
    """The model with other weights, running statistics and counters."""
    own = copy.deepcopy(model())
    source = torch.Generator().manual_seed(seed)
    for tensor in own.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(torch.rand(tensor.shape, generator=source))
        else:
            tensor.add_(seed)
    return own


def refused(pretrained, experts, **options) -> str:
    with pytest.raises(TaskmarkError) as raised:
        Given.of_models(pretrained, experts, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


# What is taken


def test_modules_state_dicts_and_what_trainers_wrap_around_them_are_one():
    base, experts = model(), [tuned(1), tuned(2)]
    kinds = {
        "modules": (base, experts),
        "state dicts": (base.state_dict(), [e.state_dict() for e in experts]),
        "a generator": (base, (e.state_dict() for e in experts)),
        "checkpoints": (
            {"state_dict": base.state_dict(), "epoch": 3},
            [{"model": e.state_dict(), "optimizer": {"state": {}}} for e in experts],
        ),
        "arrays": (
            {n: t.numpy() for n, t in base.state_dict().items()},
            [{n: t.numpy() for n, t in e.state_dict().items()} for e in experts],
        ),
        "a module inside": ({"model": base}, tuple({"model": e} for e in experts)),
    }
    expected = None
    for kind, (pretrained, given_experts) in kinds.items():
        given = Given.of_models(pretrained, given_experts)
        found = (given.pretrained, given.task_vectors)
        expected = expected or found
        assert all(map(torch.equal, found, expected)), kind
        assert [p.name for p in given.space] == [n for n, _ in base.named_parameters()], kind


@pytest.mark.parametrize(
    ("experts", "told"),
    [
        ({"a": torch.ones(1)}, "experts are one dict; give a list"),
        (nn.ReLU(), "experts are one ReLU; give a list"),
        (torch.ones(1), "experts are one Tensor; give a list"),
        ("hills.pt", "experts are one str; give a list"),
        (3, "experts are one int; give a list"),
        (["hills.pt"], "expert 'task_1' is a str; give a module or its state dict"),
        ([None], "expert 'task_1' is a NoneType; give a module"),
        ([{"a": np.array(["x"])}], "array 'a' of numpy is <U1, which torch does not know"),
        ([], "no task vector; give at least one"),
        (iter(()), "no task vector; give at least one"),
    ],
)
def test_what_is_no_list_of_models_is_one_sentence(experts, told):
    assert told in refused({"a": torch.zeros(1)}, experts)


def test_the_pretrained_model_is_held_to_the_same():
    assert "pre-trained model is a list; give a module" in refused([1], [])


def test_arrays_of_any_order_in_memory_are_read_as_they_are_meant():
    plain = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    frozen = plain.copy()
    frozen.setflags(write=False)
    odd = {
        "transposed": np.ascontiguousarray(plain.T).T,
        "backwards": plain[::-1, ::-1].copy()[::-1, ::-1],
        "read-only": frozen,
        "a number": np.array(2.0, dtype=np.float32),
    }
    found = named_tensors(odd)
    for name, array in odd.items():
        assert np.array_equal(found[name].numpy(), array), name


def test_names_and_vectors_have_to_be_as_many_and_unlike():
    experts = [{"a": torch.ones(1)}] * 2
    assert "2 task vectors but 1 names" in refused({"a": torch.zeros(1)}, experts, tasks=["x"])
    assert "2 task vectors but 1 names" in refused({"a": torch.zeros(1)}, experts, tasks=["x", "x"])


@pytest.mark.parametrize("source", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_read_as_float32(source):
    base = {"a": torch.tensor([0.5, 2.0], dtype=source)}
    given = Given.of_models(base, [{"a": torch.tensor([1.5, 2.0])}])
    assert given.task_vectors.tolist() == [[1.0, 0.0]]
    assert given.task_vectors.dtype == given.pretrained.dtype == torch.float32


def test_views_and_tensors_that_are_not_contiguous_are_read_as_they_are():
    wide = torch.arange(12.0).view(3, 4)
    views = {"t": wide.T, "columns": wide[:, ::2], "one": torch.ones(1).expand(5), "n": -wide.mT}
    plain = {name: tensor.clone().contiguous() for name, tensor in views.items()}
    space = WeightSpace.of(plain)
    assert torch.equal(space.flatten(views), space.flatten(plain))


def test_tensors_without_a_dimension_and_without_a_number_keep_their_places():
    base = {"s": torch.tensor(2.0), "e": torch.zeros(0, 3), "v": torch.ones(2)}
    given = Given.of_models(
        base, [{"s": torch.tensor(3.0), "e": torch.zeros(0, 3), "v": base["v"]}]
    )
    assert given.task_vectors.tolist() == [[1.0, 0.0, 0.0]]
    back = given.state_dict(given.task_vectors[0])
    assert {name: tuple(tensor.shape) for name, tensor in back.items()} == {
        "s": (),
        "e": (0, 3),
        "v": (2,),
    }


# Names

WRAPPED = {
    "module.": "module.{}",
    "_orig_mod.": "_orig_mod.{}",
    "both": "module._orig_mod.{}",
    "FSDP within": "_fsdp_wrapped_module.{}",
    "Fabric": "_forward_module.{}",
    "Lightning": "model.{}",
    "any prefix": "a.long.prefix.{}",
    "a prefix and a wrapper": "model.module.{}",
}


@pytest.mark.parametrize("pattern", WRAPPED.values(), ids=WRAPPED)
def test_wrappers_and_prefixes_of_experts_are_taken_off(pattern):
    base, expert = model(), tuned(1).state_dict()
    wrapped = {pattern.format(name): tensor for name, tensor in expert.items()}
    plain = Given.of_models(base, [expert])
    assert torch.equal(Given.of_models(base, [wrapped]).task_vectors, plain.task_vectors)
    assert torch.equal(WeightSpace.of(base).flatten(wrapped), WeightSpace.of(base).flatten(expert))


def test_wrappers_of_modules_inside_a_model_are_taken_off():
    base = {"blocks.0.attn.weight": torch.zeros(2), "blocks.1.attn.weight": torch.zeros(2)}
    expert = {
        "blocks.0._checkpoint_wrapped_module.attn.weight": torch.ones(2),
        "module.blocks.1._orig_mod.attn.module.weight": torch.ones(2),
    }
    assert Given.of_models(base, [expert]).task_vectors.tolist() == [[1.0] * 4]


def test_a_pretrained_model_in_a_wrapper_keeps_its_names():
    base, expert = nn.DataParallel(model()), tuned(1)
    given = Given.of_models(base, [expert, nn.DataParallel(tuned(2))])
    base.load_state_dict(given.state_dict(given.task_vectors[0]))
    for name, parameter in base.module.named_parameters():
        assert torch.allclose(parameter, dict(expert.named_parameters())[name])


def test_a_prefix_is_taken_off_only_where_all_weights_have_it():
    base = {"a": torch.zeros(1), "b": torch.zeros(1)}
    told = refused(base, [{"model.a": torch.ones(1), "b": torch.ones(1)}])
    assert "missing: a; unexpected: model.a" in told
    told = refused(base, [{f"{p}{n}": t for n, t in base.items() for p in ("model.", "ema.")}])
    assert "holds 2 models (model., ema.)" in told


def test_names_that_a_wrapper_does_not_explain_stay_apart():
    base = {"module.a": torch.zeros(1), "a": torch.ones(1)}
    given = Given.of_models(base, [{"a": torch.tensor([3.0]), "module.a": torch.tensor([1.0])}])
    assert given.task_vectors.tolist() == [[1.0, 2.0]]
    assert "missing: module.a" in refused(base, [{"a": torch.ones(1)}])


# What is missing or too much


def test_what_is_missing_unexpected_and_of_another_shape_is_named_at_once():
    base = {"a": torch.zeros(2), "b": torch.zeros(2), "c": torch.zeros(2)}
    expert = {"a": torch.zeros(3), "b": torch.zeros(2), "d": torch.zeros(2)}
    told = refused(base, [base, expert], tasks=["hills", "lakes"])
    assert "expert 'lakes' does not fit the pre-trained model (missing: c; unexpected: d;" in told
    assert "of another shape: a is (3,) instead of (2,))" in told


def test_a_tensor_more_is_refused_unless_it_is_said_to_be_ignored():
    base = {"a": torch.zeros(1)}
    expert = {"a": torch.ones(1), "lm_head.weight": torch.ones(2), "lm_head.bias": torch.ones(2)}
    told = refused(base, [expert])
    assert "unexpected: lm_head.weight, lm_head.bias" in told
    assert "ignore = ['lm_head.weight', 'lm_head.bias']" in told
    assert "unexpected: lm_head.bias)" in refused(base, [expert], ignore=["lm_head.weight"])
    for patterns in (["lm_head.*"], ["*"], "lm_head.*"):
        given = Given.of_models(base, [expert], ignore=patterns)
        assert given.task_vectors.tolist() == [[1.0]]


def test_what_is_ignored_may_be_missing_nowhere_else():
    base = {"a": torch.zeros(1), "b": torch.zeros(1)}
    assert "missing: b" in refused(base, [{"a": torch.ones(1)}], ignore=["*"])


def test_adapters_are_no_models_and_the_sentence_says_how_to_make_them_one():
    adapter = {
        "base_model.model.a.lora_A.weight": torch.ones(1, 2),
        "base_model.model.a.lora_B.weight": torch.ones(2, 1),
    }
    told = refused({"a.weight": torch.zeros(2, 2)}, [adapter])
    assert "LoRA adapters" in told
    assert "merge_and_unload()" in told


def test_long_lists_of_names_are_cut():
    base = {f"layer{i}": torch.zeros(1) for i in range(9)}
    assert "layer3 and 5 more" in refused(base, [{"x": torch.zeros(1)}])


# Dtypes and kinds of tensors


def sparse() -> torch.Tensor:
    with torch.sparse.check_sparse_tensor_invariants(enable=True):
        return torch.eye(2).to_sparse()


ODD = {
    "int8": (torch.ones(2, 2, dtype=torch.int8), "w is int8"),
    "int64": (torch.ones(2, 2, dtype=torch.int64), "w is int64"),
    "bool": (torch.ones(2, 2, dtype=torch.bool), "w is bool"),
    "complex": (torch.ones(2, 2, dtype=torch.complex64), "w is complex64"),
    "float8": (torch.ones(2, 2).to(torch.float8_e4m3fn), "w is float8_e4m3fn"),
    "sparse": (sparse(), "w is sparse_coo"),
    "meta": (torch.ones(2, 2, device="meta"), "w is on the device 'meta', without numbers"),
    "not initialised": (nn.LazyLinear(2).weight, "w is not initialised"),
}


@pytest.mark.parametrize(("tensor", "told"), ODD.values(), ids=ODD)
def test_an_expert_that_holds_no_plain_numbers_is_refused_by_tensor_and_kind(tensor, told):
    base = {"w": torch.zeros(2, 2), "b": torch.zeros(2)}
    expert = {"w": tensor, "b": torch.zeros(2)}
    said = refused(base, [expert], tasks=["hills"])
    assert "expert 'hills' does not fit" in said
    assert told in said
    with pytest.raises(TaskmarkError, match=told):
        WeightSpace.of(base).flatten(expert)


@pytest.mark.parametrize("kind", ["complex", "float8", "sparse", "not initialised"])
def test_a_pretrained_model_of_that_kind_is_refused(kind):
    tensor, told = ODD[kind]
    assert told in refused({"w": tensor, "b": torch.zeros(2)}, [])


@pytest.mark.filterwarnings("ignore:.*quantize:UserWarning")
@pytest.mark.filterwarnings("ignore:.*quantize:DeprecationWarning")
def test_quantised_tensors_are_refused_on_both_sides():
    codes = torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8)
    assert "w is qint8" in refused({"w": codes, "b": torch.zeros(1)}, [])
    expert = {"w": codes, "b": torch.zeros(1)}
    assert "w is qint8" in refused({"w": torch.zeros(2, 2), "b": torch.zeros(1)}, [expert])


def test_integers_before_tuning_are_no_floats_after_it_and_do_not_change():
    base = {"w": torch.ones(2, 2, dtype=torch.int8), "b": torch.zeros(1)}
    told = refused(base, [{"w": torch.ones(2, 2), "b": torch.zeros(1)}])
    assert "w is float32, and int8 before tuning" in told
    codes = {"w": 2 * base["w"], "b": torch.zeros(1)}
    assert "w is int8 and was changed by tuning" in refused(base, [codes])
    assert Given.of_models(base, [base]).task_vectors.tolist() == [[0.0]]


def test_integer_buffers_and_counters_of_experts_are_left_out():
    base = {"a": torch.zeros(1), "steps": torch.tensor(1), "ids": torch.arange(3)}
    experts = [
        {"a": torch.ones(1), "steps": torch.tensor(7), "position_ids": torch.arange(4)},
        {"a": torch.ones(1), "ids": torch.arange(3), "num_batches_tracked": torch.tensor(3)},
        {"a": torch.ones(1), "ids": torch.arange(5), "mask": torch.ones(2, dtype=torch.bool)},
    ]
    given = Given.of_models(base, experts)
    assert given.task_vectors.tolist() == [[1.0]] * 3
    assert set(given.kept) == {"steps", "ids"}


def test_flat_vectors_are_held_to_plain_finite_numbers_as_well():
    space = WeightSpace.of({"a": torch.zeros(1), "b": torch.zeros(2)})
    start, vectors = torch.zeros(3), torch.ones(2, 3)
    given = Given.of_weights(start.numpy(), vectors.numpy().astype(np.float16), space)
    assert given.task_vectors.tolist() == [[1.0] * 3] * 2
    for odd, told in (
        (vectors.long(), "floating-point numbers of at least 16 bits in memory, but it is int64"),
        (vectors.to(torch.complex64), "it is complex64"),
        (vectors.to_sparse(), "it is sparse_coo"),
        (vectors.to("meta"), "it is on the device 'meta'"),
        ([1.0], "is a list; give a tensor"),
        (1e300 * vectors.double(), "'a' of the task vector of 'x' .*inf.*range of float32"),
    ):
        with pytest.raises(TaskmarkError, match=told):
            Given.of_weights(start, odd, space, tasks=("x", "y"))


# Numbers that are not finite


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_number_that_is_not_finite_names_tensor_and_expert(value):
    base = {"a": torch.zeros(2), "b": torch.zeros(2)}
    experts = [dict(base) for _ in range(20)]
    experts[13]["b"] = torch.tensor([0.0, value])
    told = refused(base, experts)
    assert f"tensor 'b' of the expert 'task_14' has numbers that are not finite ({value})" in told
    assert "tensor 'b' of the pre-trained model" in refused(experts[13], [base])


def test_a_number_beyond_float32_is_named():
    big = {"a": torch.tensor([1e300], dtype=torch.float64)}
    assert "'a' of the expert 'task_1'" in refused({"a": torch.zeros(1)}, [big])


def test_a_mask_of_minus_infinities_is_a_buffer_where_the_module_says_so():
    base, expert = model(), tuned(1)
    for module in (base, expert):
        module.register_buffer("mask", torch.full((2,), -torch.inf))
    assert "tensor 'mask' of the pre-trained model" in refused(base.state_dict(), [expert])
    given = Given.of_models(base, [expert.state_dict()])
    assert given.kept["mask"].tolist() == [-torch.inf] * 2


# Running statistics


@pytest.mark.parametrize("as_module", [True, False])
def test_running_statistics_are_no_weights_and_stay_as_before_tuning(as_module):
    base, experts = model(), [tuned(seed) for seed in (1, 2, 3)]
    pretrained = base if as_module else base.state_dict()
    given = Given.of_models(pretrained, experts)
    assert set(given.kept) == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    merged = given.state_dict(-3 * given.task_vectors.sum(0))
    for name in given.kept:
        assert torch.equal(merged[name], model().state_dict()[name])
    base.load_state_dict(merged)
    with torch.no_grad():
        assert base(torch.ones(1, 3)).isfinite().all()


def test_weights_by_name_alone_leave_the_statistics_of_experts_out():
    base = dict(model().named_parameters())
    assert Given.of_models(base, [tuned(1)]).kept == {}


# The dtypes that came in


def test_the_merged_model_has_the_dtypes_that_came_in():
    base = {"h": torch.ones(2).half(), "b": torch.ones(1).bfloat16(), "d": torch.ones(1).double()}
    given = Given.of_models(base, [{name: 2 * tensor for name, tensor in base.items()}])
    merged = given.state_dict(0.5 * given.task_vectors[0])
    assert {name: tensor.dtype for name, tensor in merged.items()} == {
        name: tensor.dtype for name, tensor in base.items()
    }
    assert all((tensor == 1.5).all() for tensor in merged.values())
    plain = given.space.unflatten(given.pretrained)
    assert {tensor.dtype for tensor in plain.values()} == {torch.float32}


def test_a_number_that_its_dtype_cannot_hold_is_refused():
    given = Given.of_models({"a": torch.ones(2).half()}, [{"a": torch.ones(2)}])
    with pytest.raises(TaskmarkError, match=r"'a' has .* beyond the range of torch\.float16"):
        given.state_dict(torch.tensor([0.0, 7e4]))


# Tied tensors


class Tied(nn.Module):
    """An embedding whose transpose reads out, which are one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.middle = nn.Linear(3, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.middle(self.embed(x)))


def test_both_ways_to_lay_out_a_tied_model_agree():
    base = Tied()
    of_module, of_state = WeightSpace.of(base), WeightSpace.of(base.state_dict())
    assert of_module.parts == of_state.parts
    assert of_module.size == 15 + 9 + 3
    assert of_module.parts[0].also == ("head.weight",)
    with torch.device("meta"):
        assert WeightSpace.of(Tied()).parts == of_module.parts
        assert WeightSpace.of(Tied().state_dict()).parts == of_module.parts


@pytest.mark.parametrize("name", ["dare_ties", "della", "ties", "breadcrumbs", "magmax"])
@pytest.mark.parametrize("as_module", [True, False])
def test_tied_tensors_have_one_vote_and_are_equal_after_the_merge(name, as_module):
    base, experts = Tied(), [Tied(), Tied()]
    given = (
        Given.of_models(base, experts)
        if as_module
        else Given.of_models(base.state_dict(), [e.state_dict() for e in experts])
    )
    merged = given.state_dict(methods.get(name)().merge(given))
    assert torch.equal(merged["embed.weight"], merged["head.weight"])
    base.load_state_dict(merged)
    assert torch.equal(base.head.weight, merged["head.weight"])


def test_a_tie_is_found_where_each_file_lacks_one_of_the_names():
    base, expert = Tied(), Tied()
    state = {name: tensor.clone() for name, tensor in expert.state_dict().items()}
    expected = Given.of_models(base, [expert]).task_vectors
    for dropped in ("embed.weight", "head.weight"):
        part = {n: t for n, t in state.items() if n != dropped}
        assert torch.equal(Given.of_models(base, [part]).task_vectors, expected)
        wrapped = {f"model.module.{n}": t for n, t in part.items()}
        assert torch.equal(Given.of_models(base, [wrapped]).task_vectors, expected)
    assert torch.equal(Given.of_models(base, [state]).task_vectors, expected)


def test_a_base_that_holds_one_name_takes_tied_experts():
    state = {n: t for n, t in Tied().state_dict().items() if n != "head.weight"}
    assert Given.of_models(state, [Tied()]).space.size == 27
    untied = {n: t.clone() for n, t in Tied().state_dict().items()}
    assert "unexpected: head.weight" in refused(state, [untied])


def test_an_expert_that_is_no_longer_tied_is_refused():
    expert = {name: tensor.clone() for name, tensor in Tied().state_dict().items()}
    expert["head.weight"] += 1
    told = refused(Tied(), [expert], tasks=["hills"])
    assert "'embed.weight' and 'head.weight' are one in the pre-trained model and differ" in told
    assert "expert 'hills'" in told


def test_slices_of_one_memory_are_no_tie_and_views_that_overlap_are_refused():
    flat = torch.arange(12.0)
    grid = flat.view(3, 4)
    apart = {"a": flat[:6], "b": flat[6:].view(2, 3)}
    assert WeightSpace.of(apart).size == 12
    columns = {"a": grid[:, :2], "b": grid[:, 2:]}
    assert WeightSpace.of(columns).flatten(columns).tolist() == [
        0,
        1,
        4,
        5,
        8,
        9,
        2,
        3,
        6,
        7,
        10,
        11,
    ]
    for overlapping in (
        {"a": flat[:7], "b": flat[6:]},
        {"a": grid, "b": grid.T},
        {"a": grid[:, :2], "b": grid[:, 1:]},
        {"a": flat, "b": flat.view(torch.float64)},
        {"first": torch.zeros(1), "a": flat[:3], "c": flat[4:5], "b": flat[2:6]},
    ):
        with pytest.raises(TaskmarkError, match=r"'a' and 'b' .* share a part of their memory"):
            WeightSpace.of(overlapping)


def test_experts_may_share_memory_among_each_other():
    flat = torch.arange(4.0)
    base = {"a": torch.zeros(2), "b": torch.zeros(3)}
    given = Given.of_models(base, [{"a": flat[:2], "b": flat[1:]}])
    assert given.task_vectors.tolist() == [[0, 1, 1, 2, 3]]


def test_a_tied_encoder_runs_through_functions_of_its_weights():
    base = Tied()
    space = WeightSpace.of(base)
    vector = space.flatten(base.state_dict())
    x = torch.tensor([1, 2])

    def output(flat):
        return torch.func.functional_call(base, space.views(flat), (x,))

    assert torch.equal(output(vector), base(x))
    _, tangent = torch.func.jvp(output, (vector,), (vector,))
    step = (output(1.001 * vector) - output(0.999 * vector)) / 0.002
    assert torch.allclose(tangent, step, atol=1e-2)
