"""The names of the parts of a flat weight vector: which slice is which tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from taskmark.contract.allocation import empty
from taskmark.contract.foreign_weights import fit_weights, weights_of
from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Part:
    """One named tensor inside the flat vector: `vector[start:stop].view(shape)`.

    Attributes:
        name: of the tensor.
        start: where it begins.
        shape: of the tensor.
        heads: how many attention heads it belongs to; None outside of attention, and where only
            tensors are known.
        also: further names of the same tensor, where weights are tied.
        dtype: of the tensor as it was laid out; the flat vector is float32.
    """

    name: str
    start: int
    shape: tuple[int, ...]
    heads: int | None = None
    also: tuple[str, ...] = ()
    dtype: torch.dtype = torch.float32

    @property
    def size(self) -> int:
        """Number of elements; 1 for a scalar, 0 for an empty tensor."""
        return math.prod(self.shape)

    @property
    def slice(self) -> slice:
        """Where the part lies in the flat vector."""
        return slice(self.start, self.start + self.size)


@dataclass(frozen=True, slots=True)
class WeightSpace:
    """The layout that turns named tensors into one flat vector [P] and back.

    Walk it to work tensor by tensor: `for part in space: vector[part.slice].view(part.shape)`.
    """

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, source: nn.Module | Mapping[str, Tensor]) -> WeightSpace:
        """Lay out a model's parameters, or the floating-point tensors of a state dict.

        Tied tensors are one part. Buffers, integers and running statistics are not laid out; see
        `taskmark.contract.foreign_weights` for all rules.

        Args:
            source: a module, or a mapping of names to tensors; its order is the layout.

        Returns:
            The layout, without gaps.

        Raises:
            TaskmarkError: if there is nothing to lay out, or a tensor that cannot be merged.
        """
        weights = weights_of(source)
        heads = _heads(source) if isinstance(source, nn.Module) else {}
        also: dict[str, tuple[str, ...]] = {}
        for alias, name in weights.aliases.items():
            also[name] = (*also.get(name, ()), alias)
        parts: list[Part] = []
        start = 0
        for name, tensor in weights.tensors.items():
            own = heads.get(name), also.get(name, ()), tensor.dtype
            parts.append(Part(name, start, tuple(tensor.shape), *own))
            start += parts[-1].size
        if not parts:
            raise TaskmarkError(
                f"A {type(source).__name__} without floating-point tensors has no weights to edit; "
                "give a model or a state dict that has some."
            )
        return cls(tuple(parts))

    def __iter__(self) -> Iterator[Part]:
        return iter(self.parts)

    def __len__(self) -> int:
        """Number of parts."""
        return len(self.parts)

    @property
    def size(self) -> int:
        """P, the length of the flat vector."""
        return self.parts[-1].start + self.parts[-1].size

    def fit(
        self,
        state: Mapping[str, Tensor],
        *,
        what: str,
        kept: Mapping[str, Tensor] | None = None,
        ignore: Sequence[str] = (),
    ) -> dict[str, Tensor]:
        """The tensors of a model under the names of the parts; see `checkpoints.fitted`."""
        return fit_weights(
            state,
            {part.name: part.shape for part in self.parts},
            what=what,
            aliases={alias: part.name for part in self.parts for alias in part.also},
            kept=kept,
            ignore=ignore,
        )

    def flatten(self, state: Mapping[str, Tensor], *, out: Tensor | None = None) -> Tensor:
        """Copy named tensors into one flat float32 vector [P].

        Args:
            state: the tensors by name; others than the layout's are passed over.
            out: a vector [P] to write into, a new one unless said.

        Raises:
            TaskmarkError: if a part is missing, has another shape, or cannot be merged.
        """
        vector = empty(self.size) if out is None else out
        tensors = self.fit(state, what="the model", ignore=("*",))
        for part in self.parts:  # cast and moved as it is written
            vector[part.slice].view(part.shape).copy_(tensors[part.name].detach())
        return vector

    def views(self, vector: Tensor) -> dict[str, Tensor]:
        """View a flat vector [P] as named tensors, each under its first name.

        That is what `torch.func.functional_call` takes; no copy, gradients flow.

        Raises:
            TaskmarkError: if the vector has another shape.
        """
        if tuple(vector.shape) != (self.size,):
            raise TaskmarkError(
                f"The vector has the shape {tuple(vector.shape)}, but the weight space has "
                f"{self.size} numbers; give one flat vector of that length."
            )
        # Cut at once: slices would each have a gradient as long as the vector.
        pieces = vector.split_with_sizes([part.size for part in self.parts])
        return {
            part.name: piece.view(part.shape)
            for part, piece in zip(self.parts, pieces, strict=True)
        }

    def unflatten(self, vector: Tensor, *, own_dtypes: bool = False) -> dict[str, Tensor]:
        """View a flat vector [P] as named tensors, tied ones under all of their names.

        Args:
            vector: numbers of all parts.
            own_dtypes: cast each tensor to the dtype that it was laid out with, in place of a view.

        Raises:
            TaskmarkError: if the vector has another shape, or a number is beyond the range of its
                dtype.
        """
        views = self.views(vector)
        found: dict[str, Tensor] = {}
        for part in self.parts:
            tensor = views[part.name]
            if own_dtypes and tensor.dtype != part.dtype:
                tensor = _cast(tensor, part)
            found |= dict.fromkeys((part.name, *part.also), tensor)
        return found


def _cast(tensor: Tensor, part: Part) -> Tensor:
    cast = tensor.to(part.dtype)
    if not torch.equal(torch.isfinite(cast), torch.isfinite(tensor)):
        raise TaskmarkError(
            f"The tensor {part.name!r} has numbers beyond the range of {part.dtype}; take it as "
            "torch.float32, without own_dtypes."
        )
    return cast


def _heads(model: nn.Module) -> dict[str, int]:
    """The number of heads of each parameter inside a module that says `num_heads`."""
    found: dict[str, int] = {}
    for place, module in model.named_modules():  # outer modules first
        heads = getattr(module, "num_heads", None)
        if isinstance(heads, int):
            prefix = f"{place}." if place else ""
            found |= {f"{prefix}{name}": heads for name, _ in module.named_parameters()}
    return found
