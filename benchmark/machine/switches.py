"""The global switches of torch and numpy: read, compared, and set back after foreign code ran."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def _flushes_denormals() -> bool:
    smallest = torch.finfo(torch.float32).smallest_normal
    return float(torch.full((), smallest, dtype=torch.float32, device="cpu") / 2) == 0.0


def _set_device(device: torch.device) -> None:
    # None takes the switch away, where setting "cpu" would slow every call down.
    torch.set_default_device(None if device.type == "cpu" else device)


# Each switch by the name under which a sentence can speak of it: how it is read, and how it is set.
_SWITCHES: Mapping[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "torch's default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "torch's default device": (torch.get_default_device, _set_device),
    "torch's number of threads": (torch.get_num_threads, torch.set_num_threads),
    "torch's gradients": (torch.is_grad_enabled, torch.set_grad_enabled),
    "torch's deterministic algorithms": (
        torch.get_deterministic_debug_mode,
        torch.set_deterministic_debug_mode,
    ),
    "torch's precision of matrix products": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    "torch's fast path of attention": (
        torch.backends.mha.get_fastpath_enabled,
        torch.backends.mha.set_fastpath_enabled,
    ),
    "torch's handling of tiny numbers": (_flushes_denormals, torch.set_flush_denormal),
    "numpy's handling of errors": (np.geterr, lambda state: np.seterr(**state)),
}


def switches() -> dict[str, Any]:
    """The state of every switch, by its name."""
    return {name: read() for name, (read, _) in _SWITCHES.items()}


def restore(before: Mapping[str, Any]) -> list[str]:
    """Set back what differs from a former state.

    Args:
        before: what `switches` returned.

    Returns:
        The names of those that differed.
    """
    now = switches()
    turned = [name for name in now if now[name] != before[name]]
    for name in turned:  # only these: some are slow to set
        _SWITCHES[name][1](before[name])
    return turned


@contextmanager
def restored() -> Iterator[None]:
    """Set every switch back when the block ends."""
    before = switches()
    try:
        yield
    finally:
        restore(before)
