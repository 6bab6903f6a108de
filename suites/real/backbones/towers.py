"""Image towers of timm as the table of backbones describes them, before weights are loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import timm
import torch
from timm.layers.activations import QuickGELU
from timm.layers.pos_embed import resample_abs_pos_embed
from torch import Tensor, nn

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmark.suites.real.backbones.public_backbones import PublicBackbone


def build(backbone: PublicBackbone, *, device: str = "cpu") -> nn.Module:
    """A freshly initialised tower in eval mode; the global random state is left alone.

    Args:
        backbone: which one.
        device: "meta" for names and shapes alone.

    Raises:
        TaskmarkError: if its activation is not that of the weights, or its features are of another
            number than the table says.
    """
    with torch.random.fork_rng(devices=[]), torch.device(device):
        width = backbone.features if backbone.has_text else 0
        tower: Any = timm.create_model(
            backbone.model, pretrained=False, num_classes=width, **backbone.options
        )
        if backbone.has_text:
            # timm's projection has a bias, which is zero in CLIP and must not become a weight.
            tower.head = nn.Linear(tower.num_features, width, bias=False)
    _require_activation(tower, backbone)
    if (width or tower.num_features) != backbone.features:
        raise TaskmarkError(
            f"{backbone.model} gives {tower.num_features} features, not {backbone.features}; "
            "mend `features` in the table of backbones."
        )
    return cast("nn.Module", tower.eval())


def draw_weights(backbone: PublicBackbone) -> nn.Module:
    """A tower in eval mode as its library initialises it, under the seed of the backbone.

    The last bits of what is drawn differ between processors. So numbers are drawn in double
    precision, and rounded to the 8 bits of bfloat16, which all processors agree on.
    """
    before = torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(backbone.seed or 0)
        torch.set_default_dtype(torch.float64)
        try:
            tower = build(backbone)
        finally:
            torch.set_default_dtype(before)
    return tower.bfloat16().float()


def holding(tensors: Mapping[str, Tensor], backbone: PublicBackbone) -> nn.Module:
    """A tower in eval mode that holds these tensors, which are all of its state."""
    tower = build(backbone, device="meta")
    if any(buffer.is_meta for buffer in tower.buffers()):  # computed, and in no file
        tower = build(backbone)
    tower.load_state_dict(tensors, assign=True)
    return tower


def resampled_positions(tower: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors whose positions fit the grid of the tower, resampled as timm does it.

    Positions are square grids behind those of the prefix tokens, [1, n + side^2, D].
    """
    own = getattr(tower, "pos_embed", None)
    theirs = tensors.get("pos_embed")
    if own is None or theirs is None or own.shape == theirs.shape:
        return tensors
    n_prefix = 0 if getattr(tower, "no_embed_class", False) else int(tower.num_prefix_tokens)  # type: ignore[arg-type]
    fitted = resample_abs_pos_embed(
        theirs,
        new_size=list(tower.patch_embed.grid_size),  # type: ignore[union-attr, arg-type]
        num_prefix_tokens=n_prefix,
    )
    return {**tensors, "pos_embed": fitted}


def _require_activation(tower: nn.Module, backbone: PublicBackbone) -> None:
    quick = any(isinstance(module, QuickGELU) for module in tower.modules())
    if quick != backbone.quick_gelu:
        names = {True: "QuickGELU", False: "GELU"}
        raise TaskmarkError(
            f"{backbone.model} computes {names[quick]}, but the weights {backbone.pretrained!r} "
            f"were trained with {names[backbone.quick_gelu]}; name the other tower in the table of "
            "backbones."
        )
