"""SLERP: the spherical mean of the experts' weights, tensor by tensor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from taskmark import Method
from taskmark.contract.allocation import empty
from taskmark.methods.chunks import chunks

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given
    from taskmark.contract.weights import Part

_STEPS = 100  # experts of one pre-trained model are close, and a few steps suffice
_LONGER = 1 + 1e-9  # how much longer than the longest expert rounding can make the result, squared
_STILL = 1e-12  # the largest change of a coefficient at which the mean is found
_OPPOSITE = 1e-9 - 1  # the cosine from which on two directions count as opposite
_VANISHES = 1e-6  # length of the mean of the unit vectors below which it has no direction


class Slerp(Method):
    """Average the experts along the sphere: the middle of the arc, or the Karcher mean.

    Spherical linear interpolation (Shoemake, SIGGRAPH 1985) of two weights theta_1 and theta_2 with
    the angle Omega between them, at t = 1/2:

        (sin((1 - t) Omega) theta_1 + sin(t Omega) theta_2) / sin(Omega).

    For more than two there is no arc; what generalises its middle is the Karcher mean (Karcher
    1977), the point m of the unit sphere with the least sum of squared angles to the directions
    u_t = theta_t / ||theta_t||. With m = sum_t w_t u_t the result is sum_t w_t theta_t; for two
    this is the formula above.

    Conventions:

    - Weights are interpolated, theta_t = theta0 + tau_t, not task vectors. So the result depends on
      theta0, and there is no coefficient to search.
    - Every tensor is one vector with an angle of its own, as in mergekit and FusionBench.
    - The norm is interpolated with the direction. (mergekit's Karcher mean has the mean of the
      norms instead; the same where the norms are equal.)
    - Where directions are close no threshold switches to a straight line, since the angles come
      from float64.
    - A tensor of which an expert is zero, or points opposite to the mean direction, or of which the
      directions cancel, has no Karcher mean and is averaged. So is one for which 100 steps do not
      find the mean, or for which the result would be longer than the longest expert: where
      directions are far apart (over 120 degrees for two), coefficients grow without bound. Experts
      that share a pre-trained model come near to that in short biases alone: of eight random
      directions of 2 entries, four in five draws are averaged, of 10 entries one in thirty.
    """

    name = "slerp"
    paper = "https://doi.org/10.1145/325165.325242"
    bibtex = """@inproceedings{shoemake1985animating,
  title = {Animating rotation with quaternion curves},
  author = {Shoemake, Ken},
  booktitle = {SIGGRAPH},
  year = {1985}
}"""
    scale_range = None
    keeps_direction = True

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P]; memory: the result and a few chunks."""
        vectors, pretrained = given.task_vectors, given.pretrained
        merged = empty(given.space.size, device=vectors.device)
        for part in given.space:
            weights = spherical_mean(_gram(pretrained, vectors, part))
            # sum_t w_t (theta0 + tau_t) - theta0, without forming the experts
            excess = float(weights.sum() - 1)
            weights = weights.to(vectors.device, torch.float32)
            for chunk in chunks(part.slice, len(vectors)):
                torch.mv(vectors[:, chunk].T, weights, out=merged[chunk])
                merged[chunk].add_(pretrained[chunk], alpha=excess)
        return merged


def _gram(pretrained: Tensor, vectors: Tensor, part: Part) -> Tensor:
    """Inner products of the experts' tensors, [T, T], float64, on the CPU."""
    gram = torch.zeros(len(vectors), len(vectors), dtype=torch.float64, device=vectors.device)
    for chunk in chunks(part.slice, len(vectors)):
        experts = vectors[:, chunk].double().add_(pretrained[chunk])
        gram.addmm_(experts, experts.T)
    return gram.cpu()


def spherical_mean(gram: Tensor) -> Tensor:
    """Coefficients w of the Karcher mean sum_t w_t u_t of the directions of T vectors.

    Gradient descent on the sphere with unit steps: the unit vectors are pulled into the tangent
    space at m by the logarithm, averaged there, and m moves along the exponential of the average.
    All points are combinations of the u_t, so that their inner products are all it takes.

    Args:
        gram: the inner products of the vectors, [T, T], float64.

    Returns:
        [T], float64; 1 / T each where a vector is zero, or opposite to the mean on the way to it,
        where the directions cancel, where the steps do not converge, or where sum_t w_t theta_t
        would be longer than the longest vector.
    """
    n_vectors = len(gram)
    mean = torch.full((n_vectors,), 1 / n_vectors, dtype=torch.float64)
    norms = gram.diagonal().sqrt()
    if not bool(norms.all()):
        return mean
    cosines = (gram / norms / norms[:, None]).clamp_(-1, 1)
    length = math.sqrt(max(float(mean @ cosines @ mean), 0.0))
    if length < _VANISHES:
        return mean
    found: Tensor = mean / length
    for _ in range(_STEPS):
        along = (cosines @ found).clamp_(-1, 1)  # cosines of the angles between m and each u_t
        if float(along.min()) < _OPPOSITE:
            return mean
        step = _towards_mean(found, along)
        size = math.sqrt(max(float(step @ cosines @ step), 0.0))  # the angle to go
        found = math.cos(size) * found + (math.sin(size) / size if size else 1) * step
        squared = float(found @ cosines @ found)
        if not squared > 0:  # coefficients so large that they cancel
            return mean
        found = found / math.sqrt(squared)  # rounding leaves the sphere
        if float(step.abs().max()) < _STILL:
            break
    else:
        return mean
    longest = float(gram.diagonal().max())
    return found if float(found @ gram @ found) <= longest * _LONGER else mean


def _towards_mean(found: Tensor, along: Tensor) -> Tensor:
    """The mean of the logarithms at m of the unit vectors, as coefficients [T] of these."""
    stretch = (along.arccos() / torch.pi).sinc().reciprocal()  # angle / sin(angle), 1 at 0
    pull = stretch / len(found)
    return torch.sub(pull, found, alpha=float(pull @ along))
