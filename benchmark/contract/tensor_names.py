"""Names of tensors: what wrappers and prefixes put before them, and which mean the same tensor."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from torch import Tensor

_WRAPPERS = {
    "module",  # DataParallel, DistributedDataParallel, AveragedModel
    "_orig_mod",  # torch.compile
    "_forward_module",  # Fabric
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
}


def plain_name(name: str) -> str:
    """A name without the words that wrappers put into it."""
    *modules, last = name.split(".")
    return ".".join([*(word for word in modules if word not in _WRAPPERS), last])


def plain_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors without the words of wrappers; as they are where two would have one name."""
    plain = {plain_name(name): tensor for name, tensor in tensors.items()}
    return plain if len(plain) == len(tensors) else dict(tensors)


def known_names(
    given: Collection[str],
    wanted: Collection[str],
    *,
    aliases: Mapping[str, str],
    others: Collection[str],
    what: str,
) -> dict[str, str]:
    """Names as given -> those of the pre-trained model, where wrappers and a prefix differ alone.

    Args:
        given: names of a model's tensors.
        wanted: names that have to be among them.
        aliases: further names of a wanted tensor -> its name in `wanted`.
        others: names that the pre-trained model has besides.
        what: the tensors are of, for a sentence.

    Raises:
        TaskmarkError: if all that is wanted is there under several prefixes.
    """
    if all(name in given for name in wanted):
        return {}
    known = {plain_name(name): name for name in [*others, *aliases, *wanted]}
    plain = {plain_name(name): name for name in given}
    if len(plain) < len(given) or len(known) < len({*others, *aliases, *wanted}):
        return {}
    called = defaultdict(list)
    for name in wanted:
        called[name].append(plain_name(name))
    for alias, name in aliases.items():
        called[name].append(plain_name(alias))
    prefix = _prefix(plain, list(called.values()), what)
    return {
        own: known[name.removeprefix(prefix)]
        for name, own in plain.items()
        if name.startswith(prefix) and name.removeprefix(prefix) in known
    }


def _prefix(names: Collection[str], needed: Sequence[Sequence[str]], what: str) -> str:
    """What stands before one of the names of each tensor; empty unless it is the same for all."""
    candidates = {
        name.removesuffix(ending): None
        for name in names
        for ending in (needed[0] if needed else ())
        if name == ending or name.endswith(f".{ending}")
    }
    whole = [
        prefix
        for prefix in candidates
        if all(any(f"{prefix}{name}" in names for name in either) for either in needed)
    ]
    if len(whole) > 1 and "" not in whole:
        raise TaskmarkError(
            f"{what[0].upper()}{what[1:]} holds {len(whole)} models ({', '.join(whole)}); give one "
            "of them."
        )
    return whole[0] if len(whole) == 1 else ""
