"""A check by property: small weights are drawn, and what must hold for all is tried on each."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch

from taskmark.conformance.edits import edit_checked, edit_magnitudes, same
from taskmark.conformance.finding import UnmetError
from taskmark.conformance.repetition import digest
from taskmark.contract.given import Given
from taskmark.contract.head import Head
from taskmark.contract.weights import WeightSpace
from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark.contract.edit import Edit
    from taskmark.contract.method import Method

_N_CASES = 32
_MOST_TASKS = 4
_SHAPES = ((1,), (0, 2), (), (2, 3), (5,), (4, 4), (2, 3, 2, 2), (3, 1))
_SIZES = (1.0, 1e-6, 1e6)


def check_random_weights(method: type[Method]) -> str:
    """Whatever the weights, the result is valid, the same again, and in no way tied to an order.

    Half of the cases lie on a coarse grid, full of zeros, equal magnitudes and vectors that cancel;
    the others are normal. They grow, so that the first to fail is a small one.
    """
    if method.track != "weights":
        return "It learns from data, so no weights are drawn for it."
    for number in range(_N_CASES):
        n_tasks = method.n_tasks[0] + number % _MOST_TASKS
        if method.takes(n_tasks):
            _try(method, number, n_tasks)
    return f"It keeps all this on {_N_CASES} drawn sets of weights as well."


def _try(method: type[Method], number: int, n_tasks: int) -> None:
    source = torch.Generator().manual_seed(number)
    shapes = _drawn_shapes(source, 1 + number * 3 // _N_CASES)
    size = sum(torch.Size(shape).numel() for shape in shapes)
    on_a_grid = number % 2 == 0
    vectors = _drawn_vectors(source, n_tasks, size, on_a_grid=on_a_grid) * _SIZES[number % 3]
    pretrained = torch.randn(size, generator=source)
    try:
        # What the grid ties (equal magnitudes, equal singular values) may be resolved by order.
        keeps(method, pretrained, vectors, shapes, turn=not on_a_grid)
    except (UnmetError, TaskmarkError) as error:
        raise UnmetError(f"{_where(shapes, vectors)}: {error}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise UnmetError(f"{_where(shapes, vectors)}: it raised {reason}; mend merge().") from error


def keeps(
    method: type[Method],
    pretrained: Tensor,
    vectors: Tensor,
    shapes: list[tuple[int, ...]],
    *,
    turn: bool,
) -> None:
    """Try what must hold for all weights on these.

    Args:
        method: a subclass of Method.
        pretrained: [P].
        vectors: one row a task, [T, P].
        shapes: of the tensors that the P numbers make up.
        turn: whether to try another order of the tasks.

    Raises:
        UnmetError: if it does not hold.
        TaskmarkError: if the result is not of the agreed form.
    """
    tasks = list(range(len(vectors)))
    give = functools.partial(_given, pretrained, shapes=shapes, recipe=method.recipe)

    def terms() -> Edit:
        return edit_magnitudes(method, give(vectors, tasks=tasks))

    kept = digest(pretrained), digest(vectors)
    first = edit_checked(method(), give(vectors, tasks=tasks))
    again = edit_checked(method(), give(vectors, tasks=tasks))
    if not same(first, again, terms=terms):
        raise UnmetError("two runs differ; draw all randomness from given.generator.")
    if (digest(pretrained), digest(vectors)) != kept:
        raise UnmetError("it writes to what it is given; work on a copy.")
    if turn and not method.order_matters:
        turned = tasks[::-1]
        other = edit_checked(method(), give(vectors[turned], tasks=turned))
        if not same(first, other, terms=terms):
            raise UnmetError("the order changes the result; say why in order_matters.")


def _drawn_shapes(source: torch.Generator, n_parts: int) -> list[tuple[int, ...]]:
    chosen = torch.randint(len(_SHAPES), (n_parts,), generator=source).tolist()
    return [_SHAPES[index] for index in chosen]


def _drawn_vectors(
    source: torch.Generator, n_tasks: int, size: int, *, on_a_grid: bool
) -> Tensor:  # [T, P]
    if not on_a_grid:
        return torch.randn(n_tasks, size, generator=source)
    vectors = torch.randint(-2, 3, (n_tasks, size), generator=source).float()
    if n_tasks > 1:
        vectors[-1] = (-vectors[0], vectors[0], torch.zeros(size))[n_tasks % 3]
    return vectors


def _given(
    pretrained: Tensor,
    vectors: Tensor,
    *,
    shapes: list[tuple[int, ...]],
    tasks: list[int],
    recipe: str,
) -> Given:
    parts = {f"part_{i}": torch.zeros(shape) for i, shape in enumerate(shapes)}
    names = [f"task_{i}" for i in tasks]
    head = Head(torch.ones(1, 1), torch.zeros(1))
    return Given(
        pretrained=pretrained,
        task_vectors=vectors,
        space=WeightSpace.of(parts),
        tasks=names,
        recipe=recipe,
        heads=dict.fromkeys(names, head),
    )


def _where(shapes: list[tuple[int, ...]], vectors: Tensor) -> str:
    rows = str(vectors.tolist())
    shown = rows if len(rows) <= 200 else f"{rows[:200]} ..."  # noqa: PLR2004 - fits a sentence
    return f"On tensors of the shapes {shapes} with the task vectors {shown}"
