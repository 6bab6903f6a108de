"""CLIP's image tower as transformers names its weights, computed naively, to compare with."""

from __future__ import annotations

import torch


def names_of_transformers(state, prefix="vision_model."):
    """The weights of open_clip's `visual.*` under the names that CLIPVisionModel writes."""
    visual = {n.removeprefix("visual."): t for n, t in state.items() if n.startswith("visual.")}
    found = {
        f"{prefix}embeddings.class_embedding": visual["class_embedding"],
        f"{prefix}embeddings.patch_embedding.weight": visual["conv1.weight"],
        f"{prefix}embeddings.position_embedding.weight": visual["positional_embedding"],
    }
    n_layers = sum(n.endswith("attn.in_proj_weight") for n in visual)
    for kind in ("weight", "bias"):
        found[f"{prefix}pre_layrnorm.{kind}"] = visual[f"ln_pre.{kind}"]
        found[f"{prefix}post_layernorm.{kind}"] = visual[f"ln_post.{kind}"]
        for k in range(n_layers):
            theirs, ours = f"transformer.resblocks.{k}", f"{prefix}encoder.layers.{k}"
            three = visual[f"{theirs}.attn.in_proj_{kind}"].chunk(3)
            for which, tensor in zip("qkv", three, strict=True):
                found[f"{ours}.self_attn.{which}_proj.{kind}"] = tensor
            for own, other in {
                "self_attn.out_proj": "attn.out_proj",
                "layer_norm1": "ln_1",
                "layer_norm2": "ln_2",
                "mlp.fc1": "mlp.c_fc",
                "mlp.fc2": "mlp.c_proj",
            }.items():
                found[f"{ours}.{own}.{kind}"] = visual[f"{theirs}.{other}.{kind}"]
    return {name: tensor.clone().contiguous() for name, tensor in found.items()}


def features(weights, pixels, *, heads, patch, quick_gelu):
    """Pooled features before any projection, from weights named so, in their own precision.

    `pixels` [B, 3, S, S] are normalised.
    """

    def norm(x, name):
        scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * scale + shift

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    kernel = weights["embeddings.patch_embedding.weight"]
    n, width = len(pixels), len(kernel)
    cut = pixels.unfold(2, patch, patch).unfold(3, patch, patch)  # [B, 3, r, c, p, p]
    patches = cut.permute(0, 2, 3, 1, 4, 5).reshape(n, -1, kernel[0].numel())
    tokens = patches @ kernel.reshape(width, -1).T
    first = weights["embeddings.class_embedding"].expand(n, 1, width)
    x = torch.cat([first, tokens], 1) + weights["embeddings.position_embedding.weight"]
    x = norm(x, "pre_layrnorm")
    n_layers = sum(name.endswith("layer_norm1.weight") for name in weights)
    for layer in (f"encoder.layers.{k}" for k in range(n_layers)):
        inner = norm(x, f"{layer}.layer_norm1")
        q, k, v = (
            linear(inner, f"{layer}.self_attn.{w}_proj").unflatten(-1, (heads, -1)).transpose(1, 2)
            for w in "qkv"
        )
        attention = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        mixed = (attention @ v).transpose(1, 2).flatten(2)
        x = x + linear(mixed, f"{layer}.self_attn.out_proj")
        inner = linear(norm(x, f"{layer}.layer_norm2"), f"{layer}.mlp.fc1")
        if quick_gelu:
            bent = inner * (1.702 * inner).sigmoid()
        else:
            bent = inner * (1 + torch.erf(inner / 2**0.5)) / 2
        x = x + linear(bent, f"{layer}.mlp.fc2")
    return norm(x[:, 0], "post_layernorm")
