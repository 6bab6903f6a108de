"""TSV-Merge: keep each task's leading singular vectors, and make those of all tasks orthogonal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from taskmark import Method
from taskmark.methods.spectra import ThinSvd, merge_matrices, thin_svd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from taskmark import Given


class TsvM(Method):
    """Keep each task's leading singular vectors, made orthogonal to those of the other tasks.

    Gargiulo et al., CVPR 2025 (Task Singular Vectors, TSV-Merge). For each weight matrix of rank
    at most r = min(m, n), with T tasks:

    1. tau_t = U_t S_t V_t^T, of which the k = floor(r / T) leading components are kept;
    2. U = [U_1 ... U_T], S = diag(S_1 ... S_T) and V = [V_1 ... V_T] put them side by side;
    3. the nearest matrices of orthonormal columns, the polar factors of U and V, take their place
       (the orthogonal Procrustes problem): with U = P D Q^T that is P Q^T;
    4. the merged matrix is the product of the three.

    The result is theta0 + alpha times that; the authors search alpha in 0.1 .. 3, as the harness.

    Conventions:

    - Every part of two dimensions is such a matrix, as the backbone stores it (packed queries, keys
      and values are one); all else is averaged. (The authors' code leaves out "text_projection".)
    - Position embeddings are [1, n, d] in timm and therefore averaged. (The authors decompose the
      [n, d] of open_clip: with eight tasks the merged one has 3.7 times the norm it has here.)
    - k is at least 1, so that a matrix with less rows than there are tasks does not vanish.
    - Components of singular value zero take no part, and where columns of all tasks together are
      dependent (two tasks with one direction in common), the polar factor is zero on what they
      lack. (The authors' code fills both with arbitrary vectors.) Zero is what the precision of the
      files cannot tell from it, see `taskmark.methods.spectra`.
    """

    name = "tsv_m"
    paper = "https://arxiv.org/abs/2412.00081"
    bibtex = """@inproceedings{gargiulo2025task,
  title = {Task singular vectors: reducing task interference in model merging},
  author = {Gargiulo, Antonio Andrea and Crisostomi, Donato and Bucarelli, Maria Sofia and
            Scardapane, Simone and Silvestri, Fabrizio and Rodol{\\`a}, Emanuele},
  booktitle = {Conference on Computer Vision and Pattern Recognition},
  year = {2025}
}"""
    scale_range = (0.1, 3.0)
    keeps_direction = True

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P].

        Memory: the result, and for one matrix at a time about five of its size in float64.
        """
        return merge_matrices(given, orthogonal_sum)


def orthogonal_sum(matrices: Tensor, levels: Sequence[float] = ()) -> Tensor:
    """Merge one matrix of all tasks, [T, m, n] and T levels -> [m, n], float64."""
    levels = levels or [0.0] * len(matrices)
    kept = max(1, min(matrices.shape[1:]) // len(matrices))
    leading = [
        thin_svd(matrix, kept, noise=level) for matrix, level in zip(matrices, levels, strict=True)
    ]
    return orthogonal_product(leading, torch.cat([svd.values for svd in leading]), levels)


def orthogonal_product(
    components: Sequence[ThinSvd], values: Tensor, levels: Sequence[float]
) -> Tensor:
    """polar(U) diag(s) polar(V)^T, U and V the components' vectors side by side: [m, n], float64.

    Args:
        components: what is put side by side, k columns together.
        values: s, [k].
        levels: of each of the components, what its singular values may be off by.
    """
    # A vector of singular value s is tilted by about level / s.
    tilts = [level / svd.values for svd, level in zip(components, levels, strict=True)]
    u = _side_by_side([svd.left for svd in components], torch.cat(tilts))
    v = _side_by_side([svd.right for svd in components], torch.cat(tilts))
    # With U = P D Q^T the polar factor is P Q^T; its two factors are never multiplied out.
    core = (u.right.T * values) @ v.right
    product: Tensor = torch.linalg.multi_dot([u.left, core, v.left.T])
    return product


def _side_by_side(vectors: Sequence[Tensor], tilts: Tensor) -> ThinSvd:
    """The decomposition of vectors side by side, without what their tilts [k] alone tell apart."""
    svd = thin_svd(torch.cat(list(vectors), 1))
    apart = svd.values > torch.linalg.vector_norm(svd.right * tilts[:, None], dim=0)
    if apart.all():
        return svd
    return ThinSvd(svd.left[:, apart], svd.values[apart], svd.right[:, apart])
