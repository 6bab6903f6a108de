"""The names of the parts of a flat weight vector: which slice is which tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from taskmark.contract.allocation import empty
from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Part:
    """One named tensor inside the flat vector: `vector[start:stop].view(shape)`.

    Attributes:
        name: of the tensor.
        start: where it begins.
        shape: of the tensor.
        heads: how many attention heads it belongs to; None outside of attention, and where only
            tensors are known.
    """

    name: str
    start: int
    shape: tuple[int, ...]
    heads: int | None = None

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

        Args:
            source: a module (its parameters, shared ones once, in their own order), or a mapping
                of names to tensors, in its order.

        Returns:
            The layout, without gaps.

        Raises:
            TaskmarkError: if there is nothing to lay out.
        """
        named: Iterable[tuple[str, Tensor]]
        if isinstance(source, nn.Module):
            named, heads = source.named_parameters(), _heads(source)
        else:
            named, heads = source.items(), {}
        parts: list[Part] = []
        start = 0
        for name, tensor in named:
            if tensor.is_floating_point():
                parts.append(Part(name, start, tuple(tensor.shape), heads.get(name)))
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

    def flatten(self, state: Mapping[str, Tensor], *, out: Tensor | None = None) -> Tensor:
        """Copy named tensors into one flat float32 vector [P].

        Args:
            state: the tensors by name; others than the layout's are passed over.
            out: a vector [P] to write into, a new one unless said.

        Raises:
            TaskmarkError: if a part is missing or has another shape.
        """
        vector = empty(self.size) if out is None else out
        for part in self.parts:
            if part.name not in state:
                raise TaskmarkError(
                    f"The weights lack the tensor {part.name!r}; give weights of the same model."
                )
            tensor = state[part.name]
            if tuple(tensor.shape) != part.shape:
                raise TaskmarkError(
                    f"The tensor {part.name!r} has the shape {tuple(tensor.shape)} instead of "
                    f"{part.shape}; give weights of the same model."
                )
            vector[part.slice] = tensor.detach().reshape(-1)  # cast and moved as it is written
        return vector

    def unflatten(self, vector: Tensor) -> dict[str, Tensor]:
        """View a flat vector [P] as named tensors; no copy, gradients flow.

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


def _heads(model: nn.Module) -> dict[str, int]:
    """The number of heads of each parameter inside a module that says `num_heads`."""
    found: dict[str, int] = {}
    for place, module in model.named_modules():  # outer modules first
        heads = getattr(module, "num_heads", None)
        if isinstance(heads, int):
            prefix = f"{place}." if place else ""
            found |= {f"{prefix}{name}": heads for name, _ in module.named_parameters()}
    return found
