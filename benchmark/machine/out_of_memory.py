"""Running out of memory: recognised, explained, and avoided by smaller batches."""

from __future__ import annotations

import ctypes
import gc
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from taskmark.store.recording import note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

Result = TypeVar("Result")

# What torch and numpy say, on a CPU and on a GPU, with the size of what they asked for.
_ASKED = re.compile(
    r"(?:tried to allocate|unable to allocate) ([\d.]+) (bytes|[KMGT]i?B)", re.IGNORECASE
)
_SHORT = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
_UNITS = {"bytes": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a CPU or a GPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SHORT)


def parse_asked_bytes(error: BaseException) -> int | None:
    """How much was asked for in vain; None where the error does not say."""
    found = _ASKED.search(str(error))
    if found is None:
        return None
    unit = found[2].lower()
    return int(float(found[1]) * _UNITS.get(unit, _UNITS.get(unit[0], 1)))


def explain(error: BaseException) -> str:
    """Say that memory ran out, and how much would at least have been needed.

    That is the peak that the process had reached, on the device that ran short, and what it asked
    for on top.
    """
    asked, held = parse_asked_bytes(error), _held_bytes(error)
    if asked is None:
        return f"out of memory: more than {_size(held)} would have been needed"
    return (
        f"out of memory: at least {_size(held + asked)} would have been needed "
        f"({_size(held)} held, {_size(asked)} more asked for)"
    )


class BatchSplitter:
    """Splits batches that do not fit into memory, and remembers how many images do."""

    def __init__(self) -> None:
        self._most: int | None = None

    def each(self, call: Callable[[Tensor], Result], batch: Tensor) -> Iterator[Result]:
        """Call on the batch; where memory does not suffice, on halves of it, one after the other.

        Later batches are cut to the size that sufficed. Every halving is noted on what is made.

        Args:
            call: takes a part of the batch; once it failed for want of memory, it is called again
                on half of that part.
            batch: [B, ...].

        Yields:
            What each call returned, in the order of the images.

        Raises:
            Exception: what the call raised; if memory does not suffice for one image, that.
        """
        rest = batch
        while len(rest):
            part = rest if self._most is None else rest[: self._most]
            try:
                result = call(part)
            except Exception as error:
                if not is_out_of_memory(error) or len(part) == 1:
                    raise
                self._most = len(part) // 2
            else:
                yield result
                rest = rest[len(part) :]
                continue
            # Only now, when the error holds no frame any more, is the memory of the call free.
            free_unused()
            note(f"out of memory: {self._most} images at a time instead of {len(part)}")


def _held_bytes(error: BaseException) -> int:
    import torch  # noqa: PLC0415 - light workers never get here

    from taskmark.machine.costs import peak_bytes  # noqa: PLC0415 - likewise

    if type(error).__name__ == "OutOfMemoryError" and torch.cuda.is_available():
        devices = range(torch.cuda.device_count())
        return sum(map(torch.cuda.max_memory_allocated, devices))
    return peak_bytes()


def free_unused() -> None:
    """Give back what torch and the C library keep of memory that nothing holds any more."""
    import torch  # noqa: PLC0415 - light workers never get here

    gc.collect()
    if sys.platform == "linux":
        with suppress(AttributeError):  # other C libraries than GNU's have no such function
            ctypes.CDLL(None).malloc_trim(0)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.2f} GiB" if n_bytes >= 2**28 else f"{n_bytes / 2**20:.0f} MiB"
