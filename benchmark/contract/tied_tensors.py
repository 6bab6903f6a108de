"""Tied tensors: which names show the same numbers of the same memory, and which a part of them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping


def ties(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Further names of a tensor -> its first one."""
    first: dict[object, str] = {}
    found = {}
    for name, tensor in tensors.items():
        met = first.setdefault(_place(tensor), name)
        if met != name:
            found[name] = met
    return found


def without_ties(tensors: Mapping[str, Tensor], to: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that are none of others under another name."""
    places = {_place(tensor) for tensor in to.values()} if tensors else set()
    return {name: tensor for name, tensor in tensors.items() if _place(tensor) not in places}


def under_first_names(
    tensors: Mapping[str, Tensor], aliases: Mapping[str, str], what: str
) -> dict[str, Tensor]:
    """The tensors with those of further names under their first ones.

    Raises:
        TaskmarkError: if names of one weight hold different numbers.
    """
    found = dict(tensors)
    for alias, name in aliases.items():
        if alias in tensors and not _equal(tensors[alias], found.setdefault(name, tensors[alias])):
            raise TaskmarkError(
                f"The tensors {name!r} and {alias!r} are one in the pre-trained model and differ "
                f"in {what}; give weights in which they are tied."
            )
    return found


def check_memory(tensors: Mapping[str, Tensor], what: str) -> None:
    """See that no two weights share a number without being one.

    Raises:
        TaskmarkError: if two do.
    """
    by_memory = defaultdict(list)
    for name, tensor in tensors.items():
        if tensor.numel():
            by_memory[_memory(tensor)].append((*_span(tensor), name))
    for spans in by_memory.values():
        spans.sort()
        for index, (_, stop, name) in enumerate(spans):
            for start, _, other in spans[index + 1 :]:
                if start >= stop:
                    break
                if _overlap(tensors[name], tensors[other]):
                    raise TaskmarkError(
                        f"The tensors {name!r} and {other!r} of {what} share a part of their "
                        "memory and are not the same tensor; leave one out, or clone them if they "
                        "need not stay equal."
                    )


def _place(tensor: Tensor) -> object:
    """Which numbers of which memory a tensor shows; equal for two that are one."""
    if tensor.layout != torch.strided or not tensor.numel():
        return id(tensor)
    stride = tensor.stride()
    return (*_memory(tensor), tensor.storage_offset(), stride, tensor.shape, tensor.dtype)


def _memory(tensor: Tensor) -> tuple[torch.device, int]:
    storage = tensor.untyped_storage()
    address = storage.data_ptr() or storage._cdata  # noqa: SLF001 - "meta" has no addresses
    return tensor.device, address


def _equal(one: Tensor, other: Tensor) -> bool:
    if one.is_meta or other.is_meta or _place(one) == _place(other):
        return True
    return one.shape == other.shape and torch.equal(one.cpu(), other.cpu().to(one.dtype))


def _span(tensor: Tensor) -> tuple[int, int]:
    """The first byte of its memory that a tensor shows, and the one after its last."""
    size, start = tensor.element_size(), int(tensor.storage_offset())
    last = sum((n - 1) * int(s) for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    return start * size, (start + last + 1) * size


def _overlap(one: Tensor, other: Tensor) -> bool:
    """Whether two views of one memory, whose spans meet, show a number in common."""
    if one.dtype != other.dtype or (one.is_contiguous() and other.is_contiguous()):
        return True
    first = min(one.storage_offset(), other.storage_offset())
    stop = max(_span(one)[1], _span(other)[1]) // one.element_size()
    shown = torch.zeros(stop - first, dtype=torch.bool)
    shown.as_strided(one.shape, one.stride(), one.storage_offset() - first).fill_(True)
    return bool(shown.as_strided(other.shape, other.stride(), other.storage_offset() - first).any())
