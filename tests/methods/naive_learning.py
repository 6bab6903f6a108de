"""Transcriptions of the papers' formulas in float64, as slow and plain as they come."""

from __future__ import annotations

import torch
from torch.nn import functional


def regmean(weights, inputs, alpha):
    """(sum_t G_t)^-1 sum_t G_t W_t for weights [d_in, d_out] and inputs [n, d_in]."""
    left, right = 0.0, 0.0
    for weight, rows in zip(weights, inputs, strict=True):
        gram = rows.double().T @ rows.double()
        for i in range(len(gram)):
            for j in range(len(gram)):
                gram[i, j] *= 1.0 if i == j else alpha
        left = left + gram
        right = right + gram @ weight.double()
    return torch.linalg.inv(left) @ right


def exact_fisher(given, vector, task, inputs):
    """The diagonal Fisher, with the expectation over classes written out, [P]."""
    total = torch.zeros_like(vector, dtype=torch.float64)
    for one in inputs.split(1):
        leaf = vector.detach().clone().requires_grad_()
        log_p = given.logits(leaf, task, one).log_softmax(-1)[0]
        for logarithm in log_p:
            (gradient,) = torch.autograd.grad(logarithm, leaf, retain_graph=True)
            total += logarithm.detach().exp().double() * gradient.double() ** 2
    return total / len(inputs)


def adamerging(given, directions, batches, *, initial, learning_rate, by_tensor):
    """The vector after torch's Adam has followed the whole graph, entropy by its definition."""
    slices = [part.slice for part in given.space] if by_tensor else [slice(0, given.space.size)]
    c = torch.full((len(directions), len(slices)), float(initial), requires_grad=True)
    optimiser = torch.optim.Adam([c], lr=learning_rate)

    def composed():
        return torch.cat([c[:, i] @ directions[:, entries] for i, entries in enumerate(slices)])

    for chosen in batches:
        loss = 0.0
        for task in given.tasks:
            logits = given.logits(composed(), task, given.images(task)[chosen[task]])
            p = functional.softmax(logits, dim=-1)
            loss = loss - (p * p.log()).sum(-1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return composed().detach()
