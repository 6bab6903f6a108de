"""The losses of WUDI and DOGE as the papers write them, differentiated by autograd in float64."""

from __future__ import annotations

import torch


def wudi_loss(weight, vectors):
    """sum_t ||(W - tau_t) tau_t^T||_F^2 / ||tau_t||_F^2 (Cheng et al. 2025)."""
    return sum(((weight - tau) @ tau.T).square().sum() / tau.square().sum() for tau in vectors)


def wudi(vectors, *, learning_rate, n_steps):
    """Adam on that loss from the sum, [T, d_out, d_in] -> [d_out, d_in]."""
    vectors = vectors.double()
    weight = vectors.sum(0).requires_grad_()
    optimiser = torch.optim.Adam([weight], lr=learning_rate)
    for _ in range(n_steps):
        optimiser.zero_grad()
        wudi_loss(weight, vectors).backward()
        optimiser.step()
    return weight.detach()


def doge_loss(delta, vectors, coefficients):
    """The gap to each expert, a row of the weight at a time (Wei et al. 2025)."""
    merged = sum(c * (tau + delta) for c, tau in zip(coefficients, vectors, strict=True))
    return sum((tau * (tau - merged)).sum(1).square().sum() for tau in vectors)


def projection(vectors, fraction):
    """U U^T of the shared subspace, [d_out, d_out]."""
    rank = min(vectors.shape[1:])
    own = rank // len(vectors)
    tops = [torch.linalg.svd(tau, full_matrices=False)[0][:, :own] for tau in vectors]
    left = torch.linalg.svd(torch.cat(tops, 1), full_matrices=False)[0][:, : rank // fraction]
    return left @ left.T


def doge_delta(vectors, coefficients, *, fraction, learning_rate, n_steps):
    """Adam on the projected gradients of that loss from zero, -> [d_out, d_in]."""
    vectors, coefficients = vectors.double(), coefficients.double()
    away = torch.eye(vectors.shape[1], dtype=torch.float64) - projection(vectors, fraction)
    delta = torch.zeros_like(vectors[0], requires_grad=True)
    optimiser = torch.optim.Adam([delta], lr=learning_rate)
    for _ in range(n_steps):
        optimiser.zero_grad()
        doge_loss(delta, vectors, coefficients).backward()
        delta.grad = away @ delta.grad
        optimiser.step()
    return delta.detach()


def doge(rows, shapes, *, eta, density, fraction, learning_rate, n_steps):
    """The merged vector of weights alone: rows [T, P], all of whose tensors have two dimensions."""
    rows = rows.double()
    k = max(1, round(density * rows.shape[1]))
    least = rows.abs().sort(dim=1, descending=True).values[:, k - 1]
    merged, start = [], 0
    for d_out, d_in in shapes:
        tau = rows[:, start : start + d_out * d_in].view(-1, d_out, d_in)
        start += d_out * d_in
        coefficients = eta / tau.flatten(1).norm(dim=1)
        delta = doge_delta(
            tau, coefficients, fraction=fraction, learning_rate=learning_rate, n_steps=n_steps
        )
        weight = sum(
            c * (one + delta) * (one.abs() >= floor)
            for c, one, floor in zip(coefficients, tau, least, strict=True)
        )
        merged.append(weight.flatten())
    return torch.cat(merged)
