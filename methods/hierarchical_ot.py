"""Merging two models: align attention by optimal transport, then interpolate by the cosine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from scipy.optimize import linear_sum_assignment

from taskmark import Method
from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from taskmark import Given, WeightSpace
    from taskmark.contract.weights import Part

    Pair = tuple[Tensor, Tensor]  # a tensor of both models, [units, ...]


def align_function(target: Tensor, model: Tensor, space: WeightSpace, *, heads: int | None) -> None:
    """Permute heads and hidden units of a model in place; its function stays as it is.

    A head moves as a block in q, k and v and in the columns of the output projection that read it;
    a hidden unit of the MLP in the rows of the first layer and the columns of the second. Gated
    layers, whose units are pairs of rows, stay as they are.

    Args:
        target: the weights to come near to, [P].
        model: the weights to be permuted, [P].
        space: their layout.
        heads: of each attention, where the space does not say.

    Raises:
        TaskmarkError: if the number of heads is not known or does not divide the width.
    """
    parts = {part.name: part for part in space}
    models = target, model
    for place in _places(parts, "attn.qkv.weight"):
        qkv, projection = _layer(parts, f"{place}attn.qkv"), parts[f"{place}attn.proj.weight"]
        n_heads = _n_heads(qkv[0], heads)
        units = [_views(models, part, (3, n_heads, -1), 1) for part in qkv]
        width = projection.shape[0]
        _permute([*units, _views(models, projection, (width, n_heads, -1), 1)])
    for place in _places(parts, "mlp.fc1.weight"):
        first, second = _layer(parts, f"{place}mlp.fc1"), parts[f"{place}mlp.fc2.weight"]
        n_units = first[0].shape[0]
        if second.shape[1] == n_units:
            units = [_views(models, part, (n_units, -1), 0) for part in first]
            _permute([*units, _views(models, second, second.shape, 1)])


def align_rows(target: Tensor, model: Tensor, space: WeightSpace) -> None:
    """Permute the rows of q, k, v and the output projection in place, each by itself.

    Nothing undoes the permutation further on, so that the model's function changes unless the rows
    stay where they are.

    Args:
        target: the weights to come near to, [P].
        model: the weights to be permuted, [P].
        space: their layout.
    """
    parts = {part.name: part for part in space}
    models = target, model
    for place in _places(parts, "attn.qkv.weight"):
        thirds = [
            _views(models, part, (3, part.shape[0] // 3, -1), 0)
            for part in _layer(parts, f"{place}attn.qkv")
        ]
        for third in range(3):
            _permute([(wanted[third], found[third]) for wanted, found in thirds])
        projection = _layer(parts, f"{place}attn.proj")
        _permute([_views(models, part, (part.shape[0], -1), 0) for part in projection])


def _views(models: tuple[Tensor, Tensor], part: Part, shape: tuple[int, ...], units: int) -> Pair:
    """A tensor of both models in a shape, with the dimension of its units moved to the front."""
    target, model = (vector[part.slice].view(shape).movedim(units, 0) for vector in models)
    return target, model


def _permute(pairs: Sequence[Pair]) -> None:
    """Find the order of the units that is nearest over all tensors together, and take it."""
    # The squared distance less what no permutation changes.
    cost = -sum(
        (wanted.flatten(1).double() @ found.flatten(1).double().T for wanted, found in pairs),
        start=torch.zeros((), dtype=torch.float64, device=pairs[0][0].device),
    )
    order = torch.from_numpy(linear_sum_assignment(cost.cpu().numpy())[1])
    for _, found in pairs:
        found.copy_(found[order.to(found.device)])


def _places(parts: Mapping[str, Part], layer: str) -> list[str]:
    return [name.removesuffix(layer) for name in parts if name.endswith(layer)]


def _layer(parts: Mapping[str, Part], name: str) -> list[Part]:
    """The weight of a layer, and its bias if it has one."""
    return [parts[f"{name}.{kind}"] for kind in ("weight", "bias") if f"{name}.{kind}" in parts]


def _n_heads(part: Part, said: int | None) -> int:
    n_heads = part.heads or said
    if n_heads is None:
        raise TaskmarkError(
            f"The weights do not say how many attention heads {part.name!r} has; say it, for "
            "example hierarchical_ot[heads=12]."
        )
    if part.shape[0] % (3 * n_heads):
        raise TaskmarkError(
            f"The tensor {part.name!r} of {part.shape[0]} rows does not hold q, k and v of "
            f"{n_heads} heads; give the number of heads of this model."
        )
    return n_heads


class HierarchicalOt(Method):
    """Interpolate two models tensor by tensor, the further the better their changes agree.

    Timilsina et al., 2025 ("Hierarchical Cosine-OT-LERP"). For models A and B with the changes
    D_A = theta_A - theta0 and D_B = theta_B - theta0, per layer

        w = max(0, cos(D_A, D_B)),    theta = (1 - w) theta_A + w theta_B,

    where the attention projections of B are first aligned with those of A by optimal transport.

    Conventions; the paper publishes neither the cost nor the solver of the transport, so that those
    are ours:

    - A layer is a named tensor.
    - Units are matched by an exact assignment whose cost is the squared distance of their weights
      (theta, not D), see `taskmark.methods.hierarchical_ot`.
    - D_B in w is that of the aligned model.
    - A tensor that one of the models left alone has w = 0: A's stays.
    - `alignment = "as-published"` permutes the rows of q, k, v and the output projection, each by
      itself, and nothing that reads them; where the assignment is not the identity, this changes
      what B computes. "function-preserving" moves whole heads, and hidden units of the MLP, in all
      tensors that they touch: B computes what it did.
    - Other names than timm's are not recognised as attention; such models are interpolated alone.

    Attributes:
        alignment: what is permuted before interpolation.
        heads: attention heads, for weights that do not say.
    """

    name = "hierarchical_ot"
    paper = "https://arxiv.org/abs/2511.13373"
    bibtex = """@article{timilsina2025novel,
  title = {A novel hierarchical integration method for efficient model merging in medical {LLM}s},
  author = {Timilsina, Prakrit and Nepal, Anuj and Kadel, Rajan and Doss, Robin},
  journal = {arXiv preprint arXiv:2511.13373},
  year = {2025}
}"""
    scale_range = None
    n_tasks = (2, 2)
    order_matters = (
        "Where the two models disagree the first is kept, and the second is aligned with it."
    )

    alignment: Literal["as-published", "function-preserving"] = "as-published"
    heads: int | None = Field(default=None, ge=1)

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [2, P] -> [P].

        Memory: the result and, while models are aligned, one of them; of one tensor at a time two
        in float64.
        """
        own = given.task_vectors[0]
        first, second = (given.pretrained + vector for vector in given.task_vectors)
        if self.alignment == "as-published":
            align_rows(first, second, given.space)
        else:
            align_function(first, second, given.space, heads=self.heads)
        del first
        merged: Tensor = second.sub_(given.pretrained)  # now D_B, tensor by tensor overwritten
        for part in given.space:
            one, other = own[part.slice], merged[part.slice]
            torch.lerp(one, other, max(0.0, cosine(one, other)), out=other)
        return merged


def cosine(one: Tensor, other: Tensor) -> float:
    """The cosine of the angle between two vectors [n]; 0 where one of them is zero."""
    one, other = one.double(), other.double()
    lengths = float(one.norm() * other.norm())
    return float(one @ other) / lengths if lengths else 0.0
