"""The global settings of torch and numpy, read, compared, and put back after foreign code ran."""

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
    # None takes the setting away, where setting "cpu" would slow every call down.
    torch.set_default_device(None if device.type == "cpu" else device)


# By the name that a sentence can use: how each setting is read, and how it is set.
_SETTINGS: Mapping[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
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


def read_settings() -> dict[str, Any]:
    """Read every setting, by its name."""
    return {name: read() for name, (read, _) in _SETTINGS.items()}


def restore_settings(before: Mapping[str, Any]) -> list[str]:
    """Put back what differs from a former state.

    Args:
        before: what `read_settings` returned.

    Returns:
        The names of those that differed.
    """
    now = read_settings()
    changed = [name for name in now if now[name] != before[name]]
    for name in changed:  # only these: some are slow to set
        _SETTINGS[name][1](before[name])
    return changed


@contextmanager
def keep_settings() -> Iterator[None]:
    """Put every setting back when the block ends."""
    before = read_settings()
    try:
        yield
    finally:
        restore_settings(before)
