"""The empirical tangent kernel of an encoder: how alike its weights move two images' features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from taskmark.inference.linearised import differentiable_attention

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskmark.contract.weights import WeightSpace

GRADIENT_BYTES = 128 << 20
"""Memory for the gradients that are held at once; where they need more, passes are repeated."""

_IMAGES_AT_ONCE = 20  # activations and gradients of so many images are alive beside those held


def directions(n: int, n_features: int, generator: torch.Generator) -> Tensor:
    """Orthonormal directions in the space of features, of uniformly random orientation.

    Args:
        n: how many are wanted, R.
        n_features: D.
        generator: of the orientation, on the CPU.

    Returns:
        [min(R, D), D], float64. From R = D on, the unit vectors, which span all there is.
    """
    if n >= n_features:
        return torch.eye(n_features, dtype=torch.float64)
    normal = torch.randn(n_features, n, generator=generator, dtype=torch.float64)
    # A column's sign is QR's own choice; a kernel is quadratic in it, so it does not matter.
    basis: Tensor = torch.linalg.qr(normal).Q  # [D, R]
    return basis.T.contiguous()


@dataclass(frozen=True, slots=True)
class Tangents:
    """The gradients of an encoder's features at theta0, image by image.

    Attributes:
        encoder: the module, in evaluation mode; its own parameters are not used.
        space: the layout of its weights.
        pretrained: theta0, [P], on the device of all that is computed.
        gradient_bytes: memory for the gradients that are held at once.
    """

    encoder: nn.Module
    space: WeightSpace
    pretrained: Tensor
    gradient_bytes: int = GRADIENT_BYTES

    def kernels(self, inputs: Tensor | Sequence[Tensor], along: Tensor) -> Tensor:
        """The kernel of each of several scalar outputs q_r . f.

        K_r(x, x') = <grad_theta (q_r . f)(x), grad_theta (q_r . f)(x')>. For orthonormal
        directions of uniformly random orientation, the mean over r is an unbiased estimate of the
        mean over features, K(x, x') = (1 / D) sum_d <grad f_d(x), grad f_d(x')>, and it is K
        itself where R = D, since a trace is the same in every basis.

        Args:
            inputs: of the encoder, [N, ...]; several in a row, N together, where sizes differ.
            along: the directions q, [R, D].

        Returns:
            [R, N, N], float64, symmetric. Gradients are in the dtype of theta0; sums over slices
            of the weights are in float64.
        """
        parts = (inputs,) if isinstance(inputs, Tensor) else inputs
        parts = [part.to(self.pretrained.device) for part in parts]
        n_images = sum(map(len, parts))
        along = along.to(self.pretrained)
        kernels = torch.zeros(len(along), n_images, n_images, dtype=torch.float64)
        with differentiable_attention():
            for columns in self._slices(n_images):
                for place, direction in enumerate(along):
                    kernels[place] += self._part(parts, direction, columns).double().cpu()
        return (kernels + kernels.mT) / 2  # products of floats are symmetric to the last bit only

    def passes(self, n_images: int, n_directions: int) -> int:
        """How many images `kernels` passes forward and backward, repeats counted."""
        return n_images * n_directions * len(list(self._slices(n_images)))

    def _slices(self, n_images: int) -> Iterator[slice]:
        """Slices of theta0 so narrow that the gradients of all images by one fit into memory."""
        width = max(1, self.gradient_bytes // (n_images * self.pretrained.element_size()))
        for start in range(0, self.space.size, width):
            yield slice(start, min(start + width, self.space.size))

    def _part(self, parts: Sequence[Tensor], direction: Tensor, columns: slice) -> Tensor:
        """What one slice of theta0 adds to the kernel of q . f, [N, N]."""
        met = [p for p in self.space if p.start < columns.stop and columns.start < p.slice.stop]
        state = self.space.views(self.pretrained)
        varied = {part.name: state.pop(part.name) for part in met}

        def output(weights: dict[str, Tensor], image: Tensor) -> Tensor:
            features: Tensor = functional_call(self.encoder, {**state, **weights}, (image[None],))
            return features[0] @ direction

        of_each = vmap(grad(output), in_dims=(None, 0))
        first = columns.start - met[0].start
        rows = torch.empty(sum(map(len, parts)), columns.stop - columns.start).to(self.pretrained)
        at = 0
        for batch in (batch for part in parts for batch in torch.split(part, _IMAGES_AT_ONCE)):
            found = of_each(varied, batch)
            flat = torch.cat([found[part.name].flatten(1) for part in met], dim=1)
            rows[at : at + len(batch)] = flat[:, first : first + rows.shape[1]]
            at += len(batch)
        return rows @ rows.T
