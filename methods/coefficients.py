"""Coefficients on directions in weight space, by groups of entries, and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import torch
from torch import Tensor

if TYPE_CHECKING:
    from taskmark import WeightSpace

Granularity = Literal["tensor", "scalar"]
Groups: TypeAlias = Sequence[slice | Tensor]
"""The entries that share a coefficient, each a slice or indices [n]; together they cover 0 .. P."""


class Directions(Protocol):
    """K directions, [K, P]: a tensor, or what makes the entries of a group when they are needed."""

    @property
    def shape(self) -> Sequence[int]:
        """K and P."""

    def __getitem__(self, index: tuple[slice, slice | Tensor], /) -> Tensor:
        """The same entries of all directions, [K, n]."""


def groups(
    space: WeightSpace,
    granularity: Granularity,
    *,
    partitions: int = 1,
    generator: torch.Generator | None = None,
) -> tuple[slice | Tensor, ...]:
    """The entries that have a coefficient of their own.

    Args:
        space: the layout.
        granularity: a group is one tensor, or everything.
        partitions: K; each such group is cut into K at random, whose sizes differ by one at most.
        generator: where K > 1 draws from.

    Returns:
        G slices, or with K > 1 K G tensors of indices, some empty where a group is smaller than K.
    """
    whole = [slice(0, space.size)] if granularity == "scalar" else [p.slice for p in space]
    if partitions == 1:
        return tuple(whole)
    found: list[Tensor] = []
    for entries in whole:
        order = torch.randperm(entries.stop - entries.start, generator=generator)
        # Sorted, since memory is read faster in its order.
        pieces = [piece.sort().values for piece in order.tensor_split(partitions)]
        found += [piece + entries.start for piece in pieces]
    return tuple(found)


def combine(coefficients: Tensor, directions: Directions, slices: Groups) -> Tensor:
    """The vector whose entries in group i are those of sum_k c[k, i] d_k.

    Args:
        coefficients: c, [K, G].
        directions: d, [K, P].
        slices: G of them.

    Returns:
        [P], without a graph: see `coefficient_gradient`.
    """
    vector = coefficients.new_empty(directions.shape[1])
    for group, entries in enumerate(slices):
        vector[entries] = torch.mv(directions[:, entries].T, coefficients[:, group])
    return vector


def coefficient_gradient(gradient: Tensor, directions: Directions, slices: Groups) -> Tensor:
    """The gradient with respect to c of a loss L(base + combine(c)): dL/dc[k, i] = <g_i, d_k,i>.

    By the chain rule, g = dL/d(vector) is all that has to be propagated through the model: one
    backward pass serves any number of directions.

    Args:
        gradient: g, [P].
        directions: d, [K, P].
        slices: G of them.

    Returns:
        [K, G].
    """
    columns = [directions[:, entries] @ gradient[entries] for entries in slices]
    return torch.stack(columns, dim=1)
