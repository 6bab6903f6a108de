"""Deterministic kernels on a GPU, and a note for each operation that has none."""

from __future__ import annotations

import os
import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from taskmark.store.recording import note

if TYPE_CHECKING:
    from collections.abc import Iterator

_MESSAGE = r"(.{1,80}) (does not have a deterministic impl|defaults to a non-deterministic alg)"
_ALARM = re.compile(_MESSAGE)


def require_determinism() -> None:
    """Make torch use its deterministic kernels, and warn where it has none.

    Call it before anything runs on a GPU, since cuBLAS reads its setting when it starts.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    # Convolutions are in float32 where a record says so; of products of matrices that is the rule.
    torch.backends.cudnn.allow_tf32 = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing here reads memory before it writes it, and filling it would take time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


@contextmanager
def note_nondeterminism() -> Iterator[None]:
    """Note each operation within the block of which torch warns that it is not deterministic."""
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=_MESSAGE)
        show = warnings.showwarning

        def noted(message: Warning | str, *rest: Any, **more: Any) -> None:
            alarm = _ALARM.match(str(message))
            if alarm is None:
                show(message, *rest, **more)
            else:
                note(f"{alarm[1]} is not deterministic on this device")

        warnings.showwarning = noted
        yield
