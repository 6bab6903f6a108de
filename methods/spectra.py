"""Singular value decompositions of weight matrices, and merging matrix by matrix.

The thin decomposition comes from the eigenvectors of a Gram matrix in double precision, several
times as fast as a decomposition in single precision. Squaring costs digits: a singular value s_i,
and the angle of its vectors, err by about 1e-16 (s_1 / s_i)^2. Rounding the weights to float32 has
cost 6e-8 (s_1 / s_i) before, which is more for every s_i that does not count as zero here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import scipy.linalg
import torch
from scipy.linalg import blas

from taskmark.contract.allocation import empty

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from taskmark import Given
    from taskmark.contract.weights import Part

_LOG = logging.getLogger(__name__)

_BLURRED = 5
_COLUMNS = 512  # columns that are doubled in precision at once


@dataclass(frozen=True, slots=True)
class ThinSvd:
    """Singular values that are not zero, falling, and their vectors as columns; float64.

    Attributes:
        left: U, [m, k].
        values: s, [k].
        right: V, [n, k], so that the matrix is U diag(s) V^T.
    """

    left: Tensor
    values: Tensor
    right: Tensor


def thin_svd(
    matrix: Tensor, count: int | None = None, *, zero: float | None = None, noise: float = 0.0
) -> ThinSvd:
    """Decompose a matrix, or find its leading singular vectors only, which takes half the time.

    Directions of singular value zero are left out: their vectors are arbitrary, and a method that
    raised them would add noise. Where singular values are equal, the basis of their common space
    is arbitrary too, up to a rotation.

    Args:
        matrix: [m, n], float32 or float64, with any strides.
        count: how many of the largest singular values are wanted; all where not said.
        zero: up to this a singular value counts as zero; `rounding_level` where not said.
        noise: the same for what the files of the weights were rounded to, see `storage_levels`;
            the larger of the two counts.

    Returns:
        At most `count` components; none of a matrix of zeros or without entries.
    """
    n_rows, n_columns = matrix.shape
    if n_rows > n_columns:
        transposed = thin_svd(matrix.T, count, zero=zero, noise=noise)
        return ThinSvd(transposed.right, transposed.values, transposed.left)
    squares, left = _leading_eigenvectors(_gram(matrix), n_rows if count is None else count)
    level = max(rounding_level(matrix) if zero is None else zero, noise)
    left = left[:, squares > level**2].contiguous()
    right = left.new_empty(n_columns, left.shape[1])
    for columns, rows in zip(
        torch.split(matrix, _COLUMNS, 1), torch.split(right, _COLUMNS), strict=True
    ):
        torch.mm(columns.T.double(), left, out=rows)  # V diag(s) = A^T U
    values = torch.linalg.vector_norm(right, dim=0)
    return ThinSvd(left, values, right.div_(values))


def joint_basis(matrices: Tensor, *, noise: float = 0.0) -> Tensor:
    """Left singular vectors of matrices side by side, [A_1 ... A_T]: [T, m, n] -> [m, r], float64.

    Those of singular value zero are left out, as in `thin_svd`; `noise` is the one there.
    """
    n_tasks, n_rows, n_columns = matrices.shape
    if n_rows > n_tasks * n_columns:
        return thin_svd(matrices.transpose(0, 1).flatten(1), noise=noise).left
    gram = _gram(matrices[0])
    for matrix in matrices[1:]:
        gram += _gram(matrix)
    level = max(gram_rounding_level(gram), noise**2)
    squares, basis = _leading_eigenvectors(gram, n_rows)
    return basis[:, squares > level]


def rounding_level(matrix: Tensor) -> float:
    """How large a singular value can be by rounding the entries to float32 alone."""
    norm = torch.linalg.vector_norm(matrix, dtype=torch.float64)  # in float32 it may overflow
    return torch.finfo(torch.float32).eps * float(norm)


def gram_rounding_level(gram: Tensor) -> float:
    """How large an eigenvalue of A A^T can be by rounding the entries of A to float32 alone."""
    return torch.finfo(torch.float32).eps ** 2 * float(gram.trace())


def storage_levels(given: Given, part: Part) -> list[float]:
    """How large a singular value of each task's matrix can be by rounding in the files, T numbers.

    theta_t = theta0 + tau_t was rounded when it was stored, by at most |theta_t| times
    `given.precision` in an entry, and tau_t has the whole error, however small it is itself: an
    expert that differs from theta0 by a matrix of low rank comes back with one of full rank.
    Independent errors of standard deviations b_ij have no singular value above the largest norm of
    a row of b plus that of a column, but for lower orders (Bandeira and van Handel, 2016). With the
    bound of the error for b this is about 2.5 times what rounding really leaves.
    """
    pretrained = given.pretrained[part.slice].view(part.shape)
    levels = []
    for vector in given.task_vectors:
        stored = vector[part.slice].view(part.shape) + pretrained
        row, column = (
            float(torch.linalg.vector_norm(stored, dim=dim, dtype=torch.float64).max())
            for dim in (1, 0)
        )
        levels.append(given.precision * (row + column))
    return levels


def merge_matrices(given: Given, merge: Callable[[Tensor, list[float]], Tensor]) -> Tensor:
    """Merge each matrix by a rule, and average every other tensor over the tasks.

    A matrix is a part of two dimensions, as the backbone stores it: packed weights of queries,
    keys and values are one matrix; convolutions, biases and gains are none. Position embeddings are
    one in open_clip, [n, d], and none in timm, [1, n, d], which runs here.

    Args:
        given: the task vectors.
        merge: the rule, [T, m, n] float32 and T levels of `storage_levels` -> [m, n].

    Returns:
        The merged task vector [P].
    """
    vectors = given.task_vectors
    merged = empty(vectors.shape[1], device=vectors.device)
    lost = []
    for part in given.space:
        rows = vectors[:, part.slice]
        if is_matrix(part):
            matrices = rows.reshape(len(rows), *part.shape)
            levels = storage_levels(given, part)
            merged[part.slice].view(part.shape).copy_(merge(matrices, levels))
            if rows.any() and not merged[part.slice].any():
                lost.append(part.name)
        else:
            torch.mean(rows, 0, out=merged[part.slice])
    if lost:
        _LOG.warning(
            "The experts' changes of %d matrices, such as %r, cannot be told from the rounding of "
            "their files (unit roundoff %.1g) and became zero; bring weights of a wider dtype.",
            len(lost),
            lost[0],
            given.precision,
        )
    warn_of_rounding(given, but=lost)
    return merged


def _is_near_rounding(given: Given, part: Part) -> bool:
    """Whether an expert's change of a part is so small that its file may have blurred it.

    |tau_t| < 5 u |theta_t| in the Frobenius norm, where u is the unit roundoff of the file, which
    bounds the relative error of each entry. Directions of such a change are partly rounding.
    """
    pretrained = given.pretrained[part.slice]
    for vector in given.task_vectors:
        change = vector[part.slice]
        length = float(torch.linalg.vector_norm(change, dtype=torch.float64))
        stored = float(torch.linalg.vector_norm(change + pretrained, dtype=torch.float64))
        if 0 < length < _BLURRED * given.precision * stored:
            return True
    return False


def warn_of_rounding(given: Given, *, but: Sequence[str] = ()) -> None:
    """Say which matrices, but for those named, are so little changed that rounding blurs them."""
    near = [
        part.name
        for part in given.space
        if is_matrix(part) and part.name not in but and _is_near_rounding(given, part)
    ]
    if near:
        _LOG.warning(
            "The experts' changes of %d matrices, such as %r, are less than %d times what the "
            "rounding of their files may be (unit roundoff %.1g): their directions are uncertain; "
            "bring weights of a wider dtype.",
            len(near),
            near[0],
            _BLURRED,
            given.precision,
        )


def is_matrix(part: Part) -> bool:
    """Whether a part has two dimensions and entries."""
    return len(part.shape) == 2 and part.size > 0  # noqa: PLR2004


def _gram(matrix: Tensor) -> Tensor:
    """A A^T in float64, of which only the lower triangle is sure to be filled: [m, n] -> [m, m]."""
    gram = torch.zeros(len(matrix), len(matrix), dtype=torch.float64, device=matrix.device)
    for columns in torch.split(matrix, _COLUMNS, 1):
        exact = columns.double().contiguous()
        if gram.device.type != "cpu":
            gram.addmm_(exact, exact.T)
        elif len(gram):
            # Half the work of a product that does not know of its symmetry. BLAS counts by columns,
            # so that it is handed both transposed; it writes to the upper triangle of that.
            blas.dsyrk(1.0, exact.numpy().T, beta=1.0, c=gram.numpy().T, trans=1, overwrite_c=1)
    return gram


def _leading_eigenvectors(gram: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues, falling, and their vectors: [m, m] -> [k], [m, k]."""
    size = len(gram)
    count = min(count, size)
    if count in {0, size} or gram.device.type != "cpu":
        squares, vectors = torch.linalg.eigh(gram)
    else:
        # torch finds all vectors or none; LAPACK finds a few in half the time.
        found = scipy.linalg.eigh(
            gram.numpy().T,  # in the order of columns, which saves a copy
            lower=False,
            subset_by_index=(size - count, size - 1),
            driver="evr",
            overwrite_a=True,
            check_finite=False,
        )
        squares, vectors = map(torch.from_numpy, found)
    first = len(squares) - count
    return squares[first:].flip(0), vectors[:, first:].flip(1)
