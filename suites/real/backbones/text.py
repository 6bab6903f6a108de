"""Text embeddings of CLIP models, which heads from class names are made of."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from taskmark.errors import TaskmarkError, unknown
from taskmark.suites.real.backbones import weight_lookup
from taskmark.suites.real.backbones.public_backbones import definition
from taskmark.suites.weight_files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from taskmark.suites.real.backbones.public_backbones import PublicBackbone

_BATCH = 256  # prompts at once
_SMALL_TOWER = {"layers": 1, "width": 64, "head_width": 64, "patch_size": 32, "image_size": 32}


def embed_prompts(weights: str, prompts: Sequence[str]) -> Tensor:
    """Text embeddings of unit length, [n, D], float32, on the CPU.

    Raises:
        TaskmarkError: if the backbone has no text tower, or its weights cannot be had.
    """
    model, tokenize = _model(*_of(weights))
    with torch.inference_mode():
        rows = [
            model.encode_text(tokenize(list(some)), normalize=True)
            for some in (prompts[k : k + _BATCH] for k in range(0, len(prompts), _BATCH))
        ]
    return torch.cat(rows).clone()


def logit_scale(weights: str) -> float:
    """What cosines are multiplied with: the exponential of what is stored.

    Raises:
        TaskmarkError: if the backbone has no text tower, or its weights cannot be had.
    """
    model, _ = _model(*_of(weights))
    return float(model.logit_scale.detach().exp())


def _of(weights: str) -> tuple[str, Path, str]:
    backbone = definition(weights)
    if not backbone.has_text:
        raise TaskmarkError(
            f"The backbone {weights!r} has no text tower; its heads are probed, not zero-shot."
        )
    path = weight_lookup.checked(weights)
    return weights, path, weight_lookup.digest(path)


@functools.lru_cache(maxsize=1)
def _model(weights: str, path: Path, _sha256: str) -> tuple[Any, Callable[[list[str]], Tensor]]:
    """The text side of a CLIP model, and its tokenizer."""
    import open_clip  # noqa: PLC0415 - brings torchvision along, which images do not need

    backbone = definition(weights)
    config = _config(backbone)
    tensors = read_tensors(path)
    # The image tower runs elsewhere; a small one stands in its place until it is thrown away.
    options = {"vision_cfg": _SMALL_TOWER, **backbone.clip_options}
    with torch.random.fork_rng(devices=[]):
        model = open_clip.CLIP(**{**config, **options})
    model.visual = cast("Any", nn.Identity())
    loaded = model.load_state_dict(
        {name: t.float() for name, t in tensors.items() if not name.startswith("visual.")},
        strict=False,
    )
    if loaded.missing_keys or loaded.unexpected_keys:
        raise TaskmarkError(
            f"The text tower in {path} is not that of {backbone.clip} (missing: "
            f"{', '.join(loaded.missing_keys[:4]) or 'none'}; unexpected: "
            f"{', '.join(loaded.unexpected_keys[:4]) or 'none'}); get the file anew."
        )
    tokenizer = open_clip.SimpleTokenizer(context_length=model.context_length)
    return model.eval(), cast("Callable[[list[str]], Tensor]", tokenizer)


def _config(backbone: PublicBackbone) -> dict[str, Any]:
    """The sizes of open_clip's model, whose activation is that of the weights."""
    import open_clip  # noqa: PLC0415

    config: dict[str, Any] | None = open_clip.get_model_config(str(backbone.clip))
    if config is None:
        raise unknown("model of open_clip", str(backbone.clip), open_clip.list_models())
    model = config.get("quick_gelu", False)
    tag = open_clip.get_pretrained_cfg(str(backbone.clip), str(backbone.pretrained)) or {}
    if {model, bool(tag.get("quick_gelu", backbone.quick_gelu))} != {backbone.quick_gelu}:
        raise TaskmarkError(
            f"The model {backbone.clip} of open_clip and its weights {backbone.pretrained!r} "
            "differ in their activation, GELU or QuickGELU; name the other model in the table of "
            "backbones."
        )
    return config
