"""Merging two models: align attention by optimal transport, then interpolate by the cosine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field

from taskmark import Method
from taskmark.methods.alignment import align_function, align_rows

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


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
      (theta, not D), see `taskmark.methods.alignment`.
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
