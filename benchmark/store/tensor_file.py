"""The safetensors format, written piece by piece, so that a file need not fit into memory."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# The library's names of what a store holds, in its order: those that come last are written first.
_NAMES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int32: "I32",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.int64: "I64",
}
_RANKS = {dtype: rank for rank, dtype in enumerate(_NAMES)}
_ALIGNMENT = 8  # bytes, of the header
_LENGTH = 8  # bytes that say how long it is
_AT_ONCE = 1 << 20  # bytes of a piece: those that are hashed are still in the cache when written


@dataclass(frozen=True, slots=True)
class Rows:
    """A tensor [n, ...] that is written row by row, of which one is in memory at a time.

    Attributes:
        shape: of the whole.
        dtype: of the whole.
        rows: its n rows in order, asked for once, when they are written.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    rows: Iterable[Tensor]


Written: TypeAlias = Tensor | Rows


def pieces(tensors: Mapping[str, Written]) -> Iterator[bytes | memoryview]:
    """Yield the bytes that `safetensors.torch.save` would make of the tensors, in order.

    Raises:
        ValueError: if rows do not add up to the declared shape.
    """
    order = sorted(tensors, key=lambda name: (-_RANKS[tensors[name].dtype], name.encode()))
    yield _header(tensors, order)
    for name in order:
        tensor = tensors[name]
        n_bytes = _n_bytes(tensor)
        for row in tensor.rows if isinstance(tensor, Rows) else (tensor,):
            content = _content(row)
            n_bytes -= len(content)
            for start in range(0, len(content), _AT_ONCE):
                yield content[start : start + _AT_ONCE]
        if n_bytes:
            sense = "fewer" if n_bytes > 0 else "more"
            raise ValueError(f"the rows of {name!r} are {abs(n_bytes)} bytes {sense} than declared")


def _header(tensors: Mapping[str, Written], order: list[str]) -> bytes:
    entries, end = {}, 0
    for name in order:
        start, end = end, end + _n_bytes(tensors[name])
        entries[name] = {
            "dtype": _NAMES[tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(_LENGTH, "little") + text


def _n_bytes(tensor: Written) -> int:
    return math.prod(tensor.shape) * tensor.dtype.itemsize


def _content(tensor: Tensor) -> memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
