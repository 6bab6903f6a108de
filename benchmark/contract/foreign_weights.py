"""Weights from elsewhere: named tensors in, checked named tensors out, by one set of rules.

Whatever hands weights over (a library call, a file of an expert, a suite's provider) passes here:

- Weights are a module's parameters, or the floating-point tensors of a state dict. Buffers,
  integers and the running statistics of batch normalisation are none, and stay those of the
  pre-trained model.
- Names that share one tensor are one weight.
- What training wraps around a model (`module.`, `_orig_mod.`, ...) is no part of a name.
- A tensor that is missing, unexpected, of another shape, or of a dtype that is no plain number is
  refused, with its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from taskmark.contract.tensor_names import known_names
from taskmark.contract.tied_tensors import check_memory, ties, under_first_names, without_ties
from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
"""What weights may be stored as; floats of eight bits are codes, whose scale is kept elsewhere."""

FLOAT32_ROUNDOFF = torch.finfo(torch.float32).eps / 2
"""The unit roundoff of float32, in which all vectors are kept."""

_AROUND = ("state_dict", "model_state_dict", "model", "module")  # what trainers lay tensors into
_RUNNING = ("running_mean", "running_var")
_SHOWN = 4  # names in a sentence


@dataclass(frozen=True, slots=True)
class Weights:
    """The tensors of a model, sorted into weights and the rest.

    Attributes:
        tensors: the weights, each under its first name.
        aliases: further names of a weight -> its first one.
        kept: what is no weight, by name: buffers, integers, running statistics.
    """

    tensors: Mapping[str, Tensor]
    aliases: Mapping[str, str]
    kept: Mapping[str, Tensor]


def weights_of(source: object, what: str = "the model") -> Weights:
    """Tell the weights of a model from what else it holds.

    Args:
        source: a module, or its state dict, also as trainers wrap it.
        what: it is, as a sentence says it.

    Raises:
        TaskmarkError: if it is neither, a weight is of a dtype that cannot be merged, or two share
            a part of their memory.
    """
    named = named_tensors(source, what)
    found: dict[str, Tensor]
    if isinstance(source, nn.Module):
        found = dict(source.named_parameters(remove_duplicate=False))
    else:
        found = {n: t for n, t in named.items() if _is_number(t) and not is_running(n)}
    if refused := _refused_kinds(found, laid_out=True):
        raise TaskmarkError(
            f"{_capital(what)} cannot be merged: {_listed('of another kind', refused)}; give dense "
            "floating-point tensors of at least 16 bits."
        )
    aliases = ties(found)
    check_memory({n: t for n, t in found.items() if n not in aliases}, what)
    return Weights(
        tensors={name: tensor for name, tensor in found.items() if name not in aliases},
        aliases=aliases,
        kept={name: tensor for name, tensor in named.items() if name not in found},
    )


def named_tensors(source: object, what: str = "the model") -> dict[str, Tensor]:
    """The tensors of a module or a state dict by name, out of what a trainer wrapped around them.

    Arrays of numpy become tensors; what holds no numbers, such as an epoch, is left out.

    Raises:
        TaskmarkError: if it is no module and has no names.
    """
    content: Any = source
    for around in _AROUND:
        if isinstance(content, Mapping) and isinstance(content.get(around), Mapping | nn.Module):
            content = content[around]
    if isinstance(content, nn.Module):
        content = content.state_dict()
    if not isinstance(content, Mapping):
        raise TaskmarkError(
            f"{_capital(what)} is a {type(content).__name__}; give a module or its state dict."
        )
    return {
        str(name): value if isinstance(value, Tensor) else tensor_of_array(value, str(name))
        for name, value in content.items()
        if isinstance(value, Tensor | np.ndarray)
    }


def tensor_of_array(array: np.ndarray[Any, Any], name: str) -> Tensor:
    """The tensor of an array of numpy, which shares its memory where torch can write to it.

    Raises:
        TaskmarkError: if torch knows no such dtype.
    """
    try:
        plain = np.require(array, requirements=["C", "W", "A"])
        return torch.from_numpy(plain).reshape(array.shape)
    except (TypeError, ValueError) as error:
        raise TaskmarkError(
            f"The array {name!r} of numpy is {array.dtype}, which torch does not know; give a "
            "tensor, or an array of float32."
        ) from error


def plain_numbers(value: object, what: str) -> Tensor:
    """A tensor or an array of plain floating-point numbers, out of any graph.

    Raises:
        TaskmarkError: if it is anything else.
    """
    tensor = tensor_of_array(value, what) if isinstance(value, np.ndarray) else value
    if not isinstance(tensor, Tensor):
        raise TaskmarkError(f"{_capital(what)} is a {type(value).__name__}; give a tensor.")
    if refused := _refused_kinds({"it": tensor}):
        raise TaskmarkError(
            f"{_capital(what)} must hold floating-point numbers of at least 16 bits in memory, but "
            f"{refused[0]}; convert it."
        )
    return tensor.detach()


def unit_roundoff(dtypes: Iterable[torch.dtype]) -> float:
    """The largest unit roundoff of numbers that were stored so and are kept in float32."""
    return max([FLOAT32_ROUNDOFF, *(torch.finfo(dtype).eps / 2 for dtype in dtypes)])


def is_running(name: str) -> bool:
    """Whether a name is that of batch normalisation's running mean or variance."""
    return name.rpartition(".")[2] in _RUNNING


def fit_weights(
    tensors: Mapping[str, Tensor],
    wanted: Mapping[str, Sequence[int]],
    *,
    what: str,
    of: str = "the pre-trained model",
    aliases: Mapping[str, str] | None = None,
    kept: Mapping[str, Tensor] | None = None,
    ignore: Sequence[str] = (),
) -> dict[str, Tensor]:
    """Hold a model's tensors against those that are wanted.

    Args:
        tensors: as they were given, whatever wrappers and prefixes are in their names.
        wanted: name -> shape.
        what: the tensors are of, as a sentence says it: "the expert 'cars'".
        of: what they are held against.
        aliases: further names of a wanted tensor -> its name in `wanted`.
        kept: what the pre-trained model has that is no weight.
        ignore: patterns of names that may be there and are not used, such as "lm_head.*".

    Returns:
        All that are wanted, in their order, as they were given.

    Raises:
        TaskmarkError: if one is missing, unexpected, of another shape, or holds no plain numbers.
    """
    aliases, kept = aliases or {}, kept or {}
    patterns = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    names = known_names(tensors, wanted, aliases=aliases, others=kept, what=what)
    given = {names.get(name, name): tensor for name, tensor in tensors.items()}
    found = under_first_names(given, aliases, what)
    used = {name: found[name] for name in wanted if name in found}
    rest = {name: tensor for name, tensor in given.items() if name not in used}
    extra = [
        name
        for name, tensor in without_ties(rest, used).items()
        if name not in aliases and name not in kept and _is_number(tensor) and not is_running(name)
    ]
    faults = {
        "missing": [name for name in wanted if name not in found],
        "unexpected": [n for n in extra if not any(fnmatchcase(n, p) for p in patterns)],
        "of another shape": [
            f"{name} is {tuple(tensor.shape)} instead of {tuple(wanted[name])}"
            for name, tensor in used.items()
            if _initialised(tensor) and tuple(tensor.shape) != tuple(wanted[name])
        ],
        "of another kind": [
            *_refused_kinds(used),
            *_refused_kept(given, kept),
        ],
    }
    if listed := "; ".join(_listed(fault, items) for fault, items in faults.items() if items):
        raise TaskmarkError(
            f"{_capital(what)} does not fit {of} ({listed}); {_cure(faults, tensors)}."
        )
    return used


def check_finite(tensors: Mapping[str, Tensor], what: str) -> None:
    """See that all numbers of named tensors are finite.

    Raises:
        TaskmarkError: if one is not, with the name of the tensor.
    """
    for name, tensor in tensors.items():
        if not (finite := torch.isfinite(tensor)).all():
            first = tensor[~finite].flatten()[0].item()
            raise TaskmarkError(
                f"The tensor {name!r} of {what} has numbers that are not finite ({first}): it "
                "diverged, is damaged, is beyond the range of float32, or is no weight; leave it "
                "out or give finite numbers."
            )


def _is_number(tensor: Tensor) -> bool:
    """Whether a tensor holds numbers that could be weights: neither integers nor truth values."""
    return tensor.is_floating_point() or tensor.is_complex() or tensor.is_quantized


def _initialised(tensor: Tensor) -> bool:
    """Whether a tensor has a shape; those of lazy modules have none before their first pass."""
    return not isinstance(
        tensor, nn.parameter.UninitializedParameter | nn.parameter.UninitializedBuffer
    )


def _refused_kinds(tensors: Mapping[str, Tensor], *, laid_out: bool = False) -> list[str]:
    """Names of tensors that are no plain numbers in memory, each with what it is."""
    refused = []
    for name, tensor in tensors.items():
        if not _initialised(tensor):
            refused.append(f"{name} is not initialised")
        elif hasattr(tensor, "full_tensor"):  # DTensor
            refused.append(f"{name} is a piece of a distributed tensor")
        elif tensor.is_meta and not laid_out:
            refused.append(f"{name} is on the device 'meta', without numbers")
        elif tensor.layout != torch.strided:
            refused.append(f"{name} is {_word(tensor.layout)}")
        elif tensor.dtype not in DTYPES:
            refused.append(f"{name} is {_word(tensor.dtype)}")
    return refused


def _refused_kept(given: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> list[str]:
    """What is an integer in the pre-trained model, and was tuned: codes, which are no weights."""
    refused = []
    for name, base in kept.items():
        if name not in given or _is_number(base):
            continue
        own = given[name]
        if _is_number(own):
            refused.append(f"{name} is {_word(own.dtype)}, and {_word(base.dtype)} before tuning")
        elif own.shape == base.shape and own.ndim and not torch.equal(own.cpu(), base.cpu()):
            refused.append(f"{name} is {_word(own.dtype)} and was changed by tuning")
    return refused


def _cure(faults: Mapping[str, Sequence[str]], tensors: Iterable[str]) -> str:
    if any("lora_" in name for name in tensors):
        return (
            "these are LoRA adapters: add them to their base with peft's `merge_and_unload()`, and "
            "give the whole weights"
        )
    if faults["of another kind"] and not faults["missing"]:
        return "give dense floating-point tensors of at least 16 bits, as the pre-trained ones are"
    if faults["unexpected"] and not faults["missing"] and not faults["of another shape"]:
        names = ", ".join(map(repr, faults["unexpected"][:_SHOWN]))
        return f"if they are not needed, say so with ignore = [{names}]"
    return "give weights that were tuned from it"


def _listed(fault: str, items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return f"{fault}: {', '.join(items[:_SHOWN])}{more}"


def _word(kind: object) -> str:
    return str(kind).removeprefix("torch.")


def _capital(what: str) -> str:
    return what[0].upper() + what[1:]
