"""The names that libraries give to the weights of a vision transformer, and timm's for each.

The same numbers lie on disk in three layouts: open_clip's (`visual.transformer.resblocks...`),
that of transformers' CLIPVisionModel (with or without `vision_model.`, queries, keys and values
apart), and timm's. What runs is timm's tower, in which queries, keys and values are one packed
matrix, as they are in open_clip: methods that look at single tensors, such as singular values, find
the matrices that published code found, but for one. Position embeddings are [1, n, d] in timm and
[n, d] in open_clip: such methods average them here, where published code decomposes them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

Layout = Literal["open_clip", "transformers", "timm"]

_SIGNS: dict[Layout, tuple[str, str]] = {
    "transformers": ("embeddings.class_embedding", "embeddings.patch_embedding.weight"),
    "open_clip": ("class_embedding", "conv1.weight"),
    "timm": ("patch_embed.proj.weight", "blocks.0.norm1.weight"),
}
"""Two names that only this layout has; what stands before them is a prefix."""

_OPEN_CLIP_TO_TIMM = {
    "class_embedding": "cls_token",
    "positional_embedding": "pos_embed",
    "proj": "head.weight",
    "conv1": "patch_embed.proj",
    "ln_pre": "norm_pre",
    "ln_post": "norm",
    "ln_1": "norm1",
    "ln_2": "norm2",
    "attn.in_proj_weight": "attn.qkv.weight",
    "attn.in_proj_bias": "attn.qkv.bias",
    "attn.out_proj": "attn.proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}

_TRANSFORMERS_TO_OPEN_CLIP = {
    "embeddings.class_embedding": "class_embedding",
    "embeddings.position_embedding.weight": "positional_embedding",
    "embeddings.patch_embedding": "conv1",
    "pre_layrnorm": "ln_pre",  # spelt so there
    "post_layernorm": "ln_post",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}

_PROJECTION = "visual_projection.weight"  # beside the tower, not in it
_SEPARATE = re.compile(r"(.*)self_attn\.([qkv])_proj\.(weight|bias)")
_BESIDE_AN_IMAGE_TOWER = re.compile(
    r"(^|\.)(token_embedding|positional_embedding|transformer|ln_final|text_projection|attn_mask|"
    r"logit_scale|logit_bias|text|text_model|input_resolution|context_length|vocab_size|"
    r"classification_head|classifier)(\.|$)"
)
_COUNTERS = "embeddings.position_ids"


@dataclass(frozen=True, slots=True)
class Named:
    """Weights of an image tower by timm's names.

    Attributes:
        layout: that they came in.
        tensors: by timm's names; of names that no map knows, as they were.
        unused: names of what stands beside an image tower: text towers, classifiers.
    """

    layout: Layout
    tensors: dict[str, Tensor]
    unused: tuple[str, ...]


def by_names_of_timm(tensors: Mapping[str, Tensor]) -> Named:
    """Recognise a layout and translate it.

    Raises:
        TaskmarkError: if it is none of the three, or if there are several towers.
    """
    layout, prefix = _recognised(tensors)
    inside = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    outside = {n: t for n, t in tensors.items() if not n.startswith(prefix)}
    if layout == "transformers":
        root = prefix.removesuffix("vision_model.")
        if f"{root}{_PROJECTION}" in tensors:
            outside.pop(f"{root}{_PROJECTION}", None)
            inside[_PROJECTION] = tensors[f"{root}{_PROJECTION}"]
        inside.pop(_COUNTERS, None)
        inside = open_clip_of_transformers(inside)
    unused = tuple(name for name in outside if _BESIDE_AN_IMAGE_TOWER.search(name))
    strange = {name: t for name, t in outside.items() if name not in unused}
    if layout != "timm":
        inside = timm_of_open_clip(inside)
    return Named(layout, inside | strange, unused)


def open_clip_of_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """From the names of CLIPVisionModel, without prefix, to those of open_clip's image tower.

    Queries, keys and values are packed in this order, [3D, D]; the projection is transposed.
    """
    found: dict[str, Tensor] = {}
    apart: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in tensors.items():
        if separate := _SEPARATE.fullmatch(name):
            packed = f"{separate[1]}attn.in_proj_{separate[3]}"
            apart[_in_blocks(packed, "encoder.layers.", "transformer.resblocks.")][separate[2]] = (
                tensor
            )
        elif name == _PROJECTION:
            found["proj"] = tensor.T
        else:
            renamed = _renamed(name, _TRANSFORMERS_TO_OPEN_CLIP)
            found[_in_blocks(renamed, "encoder.layers.", "transformer.resblocks.")] = tensor
    for name, three in apart.items():
        if set(three) == set("qkv"):  # else it goes missing, and is named so
            found[name] = torch.cat([three[which] for which in "qkv"])
    return found


def timm_of_open_clip(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """From the names of open_clip's image tower, without prefix, to those of timm's."""
    found = {}
    for name, tensor in tensors.items():
        renamed = _renamed(
            _in_blocks(name, "transformer.resblocks.", "blocks."), _OPEN_CLIP_TO_TIMM
        )
        if name == "class_embedding":
            tensor = tensor[None, None]  # noqa: PLW2901 - [D] -> [1, 1, D]
        elif name == "positional_embedding":
            tensor = tensor[None]  # noqa: PLW2901 - [N, D] -> [1, N, D]
        elif name == "proj":
            tensor = tensor.T  # noqa: PLW2901 - features @ proj -> head(features)
        found[renamed] = tensor
    return found


def _recognised(tensors: Mapping[str, Tensor]) -> tuple[Layout, str]:
    for layout, (first, second) in _SIGNS.items():
        prefixes = [
            name.removesuffix(first)
            for name in tensors
            if name.endswith(first) and f"{name.removesuffix(first)}{second}" in tensors
        ]
        if len(prefixes) > 1:
            raise TaskmarkError(
                f"There are {len(prefixes)} image towers in these weights ({', '.join(prefixes)}); "
                "bring one in a file."
            )
        if prefixes:
            return layout, prefixes[0]
    some = ", ".join(list(tensors)[:3])
    raise TaskmarkError(
        f"Weights with names such as {some} are of no layout that is known here; bring those of a "
        "vision transformer of open_clip, timm, or transformers' CLIPVisionModel."
    )


def _in_blocks(name: str, before: str, after: str) -> str:
    return f"{after}{name.removeprefix(before)}" if name.startswith(before) else name


def _renamed(name: str, words: Mapping[str, str]) -> str:
    """A name with its last words changed: whole ones alone, so no part of another."""
    head, within = ("", name)
    if match := re.match(r"(.*?(?:blocks|layers)\.\d+\.)(.*)", name):
        head, within = match[1], match[2]
    for before, after in words.items():
        if within == before or within.startswith(f"{before}."):
            return f"{head}{after}{within[len(before) :]}"
    return name
