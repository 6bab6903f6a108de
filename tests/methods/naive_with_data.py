"""Methods that need data, written from the papers' formulas on the fields of a file alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from naive_case import LEARNED_ON, Case, steps, tensor
from naive_coefficients import Descent
from naive_formulas import ties, trimmed
from naive_learning import regmean as least_squares
from scipy.optimize import minimize
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

Answer = dict[str, Any]  # the fields of a file that start with "expected"


def mean(case: Case) -> Tensor:
    return torch.stack(list(case.vectors.values())).mean(0)


def fitted(case: Case, name: str, inputs: dict[str, Tensor]) -> Tensor:
    """One linear layer by least squares, laid flat."""
    entries, shape = case.places[name]
    weights = [vector[entries].view(shape).T for vector in case.vectors.values()]
    rows = [inputs[task] for task in case.tasks]
    return least_squares(weights, rows, case.fields["alpha"]).T.flatten()


def regmean(case: Case) -> Tensor:
    merged = mean(case)
    for layer in case.layers:
        name = layer["weight"]
        inputs = {
            task: case.reached(vector, case.inputs(task, "train"))[name]
            for task, vector in case.vectors.items()
        }
        merged[case.places[name][0]] = fitted(case, name, inputs)
    return merged


def regmean_plus(case: Case) -> Tensor:
    """Here every layer is a block, so that nothing of an expert runs before it."""
    merged = mean(case)
    for layer in case.layers:
        name = layer["weight"]
        inputs = {
            task: case.reached(merged, case.inputs(task, "train"))[name] for task in case.tasks
        }
        merged[case.places[name][0]] = fitted(case, name, inputs)
    return merged


def fisher(case: Case) -> Tensor:
    above, below = 0.0, 0.0
    for task, vector in case.vectors.items():
        inputs = case.inputs(task, "train")
        information = torch.zeros_like(vector)
        for one in inputs.split(1):
            leaf = vector.clone().requires_grad_()
            log_p = case.logits(leaf, task, one).log_softmax(-1)[0]
            for logarithm in log_p:
                (gradient,) = torch.autograd.grad(logarithm, leaf, retain_graph=True)
                information += logarithm.detach().exp() * gradient**2 / len(inputs)
        information = information.clamp(min=case.fields["floor"])
        above, below = above + information * vector, below + information
    return above / below


def greedy_scales(case: Case) -> Tensor:
    def at(scales: dict[str, float]) -> float:
        vector = sum(scales[task] * vector for task, vector in case.vectors.items())
        return float(case.loss(vector, LEARNED_ON, labelled=True))

    order = sorted(case.tasks, key=lambda task: -float(case.vectors[task].norm()))
    scales = dict.fromkeys(case.tasks, 0.0)
    for _ in range(case.fields["rounds"]):
        for task in order:
            trials = [scales | {task: scale} for scale in case.fields["scales"]]
            scales = min(trials, key=at)
    return sum(scales[task] * vector for task, vector in case.vectors.items())


def agreeing(case: Case) -> list[Tensor]:
    rows = [vector.tolist() for vector in case.vectors.values()]
    cuts = [0, len(rows[0])]
    signs = tensor(ties(rows, cuts, density=case.fields["density"], mean=False)).sign()
    kept = [tensor(trimmed(row, case.fields["density"])) for row in rows]
    return [torch.where(row.sign() == signs, row, 0.0) for row in kept]


def adamerging(case: Case, granularity: str = "tensor", *, plus: bool = False) -> Tensor:
    directions = agreeing(case) if plus else list(case.vectors.values())
    path = steps(
        case.coefficients(len(directions), granularity, 0.3),
        lambda c: case.loss(case.combined(c, directions, granularity), slice(None), labelled=False),
        case.fields["steps"],
        rate=case.fields["learning_rate"],
        decay=0.0,
    )
    return case.combined(path[-1], directions, granularity)


def probed(case: Case, task: str) -> dict[str, Any]:
    """A head by BFGS on C sum CE + ||W||^2 / 2, the best C on validation."""
    x, x_validation = (
        case.reached(torch.zeros_like(case.pretrained), case.inputs(task, split))[""]
        for split in ("train", "validation")
    )
    y, y_validation = case.labels(task, "train"), case.labels(task, "validation")
    centre, spread = x.mean(0), x.std(0, correction=0)
    z, z_validation = (x - centre) / spread, (x_validation - centre) / spread
    n_classes = 1 + int(y.max())

    def value(flat: np.ndarray, strength: float) -> tuple[float, np.ndarray]:
        leaf = tensor(flat).view(n_classes, -1).requires_grad_()
        logits = z @ leaf[:, :-1].T + leaf[:, -1]
        loss = strength * functional.cross_entropy(logits, y, reduction="sum")
        loss = loss + leaf[:, :-1].square().sum() / 2
        (gradient,) = torch.autograd.grad(loss, leaf)
        return float(loss.detach()), gradient.flatten().numpy()

    start = np.zeros(n_classes * (z.shape[1] + 1))
    fits = []
    for strength in sorted(case.fields["strengths"]):
        found = minimize(
            value, start, args=(strength,), jac=True, method="BFGS", options={"gtol": 1e-9}
        )
        fits.append(tensor(found.x).view(n_classes, -1))

    def accuracy(fit: Tensor) -> float:
        logits = z_validation @ fit[:, :-1].T + fit[:, -1]
        return float((logits.argmax(-1) == y_validation).double().mean())

    best = max(fits, key=accuracy)
    weight = best[:, :-1] / spread
    return {"weight": weight.tolist(), "bias": (best[:, -1] - weight @ centre).tolist()}


def merged(vector: Tensor) -> Answer:
    return {"expected": vector.tolist()}


def composed(case: Case, *, labelled: bool, prefix: str = "", refine: bool = False) -> Answer:
    granularity = case.fields.get("granularity", "tensor")
    descent = Descent(case, labelled=labelled, granularity=granularity)
    first = descent.composition(prefix)
    return merged(descent.refined(first) if refine else first)


def single_task(case: Case) -> Answer:
    refined = {
        task: Descent(case, labelled=True, granularity="tensor", tasks=[task]).refined(vector)
        for task, vector in case.vectors.items()
    }
    own = {task: vector.tolist() for task, vector in refined.items()}
    return merged(torch.zeros_like(case.pretrained)) | {"expected_per_task": own}


def linear_probing(case: Case) -> Answer:
    heads = {task: probed(case, task) for task in case.tasks}
    return merged(torch.zeros_like(case.pretrained)) | {"expected_heads": heads}


def refined(case: Case, *, labelled: bool) -> Answer:
    return composed(case, labelled=labelled, prefix="start_", refine=True)


ANSWERS: dict[str, Callable[[Case], Answer]] = {
    "regmean": lambda case: merged(regmean(case)),
    "regmean_plus": lambda case: merged(regmean_plus(case)),
    "fisher": lambda case: merged(fisher(case)),
    "greedy_scales": lambda case: merged(greedy_scales(case)),
    "adamerging": lambda case: merged(adamerging(case)),
    "adamerging_task": lambda case: merged(adamerging(case, "scalar")),
    "adamerging_plus": lambda case: merged(adamerging(case, plus=True)),
    "atlas": lambda case: composed(case, labelled=True),
    "dv_basi_start": lambda case: composed(case, labelled=True, prefix="start_"),
    "dv_basi": lambda case: refined(case, labelled=True),
    "direct_scaling": lambda case: refined(case, labelled=True),
    "dv_basi_unsupervised": lambda case: refined(case, labelled=False),
    "direct_scaling_unsupervised": lambda case: refined(case, labelled=False),
    "dv_basi_single_task": single_task,
    "linear_probing": linear_probing,
}
